//! What every function shares.
