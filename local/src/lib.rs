//! The development stack.
