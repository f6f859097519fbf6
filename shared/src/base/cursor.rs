//! Cursors: opaque positions in lists. A cursor is signed and bound to its list and lab. A cursor of another lab or with a
//! changed byte is rejected, so clients cannot build their own or depend on the content.

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::base::{
    error::{Error, ErrorCode},
    private::Secret,
};

/// A cursor holds 128 bits of the HMAC-SHA-256: enough against guessing (NIST SP 800-107, 5.3.1), and short.
const TAG_BYTES: usize = 16;

/// Makes and reads cursors.
pub(crate) struct CursorKey(hmac::Key);

impl CursorKey {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
    }

    /// Makes the cursor for the items after `position` in a list. `list` names the list with everything that it depends
    /// on: the lab, the operation and the filters.
    pub(crate) fn seal(&self, list: &str, position: &[u8]) -> String {
        let tag = self.tag(list, position);
        URL_SAFE_NO_PAD.encode([&tag[..], position].concat())
    }

    /// Returns the position in a cursor of this list.
    ///
    /// # Errors
    /// Invalid cursor, when the signature does not match.
    pub(crate) fn open(&self, list: &str, cursor: &str) -> Result<Vec<u8>, Error> {
        self.read(list, cursor).ok_or_else(Self::invalid)
    }

    /// Returns the position in a cursor of this list, if it is text.
    ///
    /// # Errors
    /// Invalid cursor.
    pub(crate) fn open_text(&self, list: &str, cursor: &str) -> Result<String, Error> {
        String::from_utf8(self.open(list, cursor)?).map_err(|_| Self::invalid())
    }

    /// The error for a cursor of another list or with an unusable position.
    pub(crate) fn invalid() -> Error {
        Error::new(
            ErrorCode::InvalidCursor,
            "The cursor does not belong to this list. Start without a cursor.",
        )
    }

    fn read(&self, list: &str, cursor: &str) -> Option<Vec<u8>> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, position) = bytes.split_first_chunk::<TAG_BYTES>()?;
        constant_time::verify_slices_are_equal(&self.tag(list, position), tag).ok()?;
        Some(position.to_vec())
    }

    fn tag(&self, list: &str, position: &[u8]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"lhcms cursor 2");
        // Without the length, bytes could move between the position and the name of the list.
        context.update(&position.len().to_be_bytes());
        context.update(position);
        context.update(list.as_bytes());
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_valid_for_its_own_list_only() {
        let key = CursorKey::new(&Secret::new("key"));
        let cursor = key.seal("123 cases", b"42");
        assert_eq!(key.read("123 cases", &cursor), Some(b"42".to_vec()));
        assert_eq!(key.read("456 cases", &cursor), None);
        assert_eq!(key.read("123 history of 1", &cursor), None);
        assert_eq!(CursorKey::new(&Secret::new("other")).read("123 cases", &cursor), None);
    }

    #[test]
    fn a_cursor_with_any_changed_character_is_rejected() {
        let key = CursorKey::new(&Secret::new("key"));
        let cursor = key.seal("123 cases", b"42");
        for at in 0..cursor.len() {
            for changed in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=".chars() {
                let mut forged = cursor.clone();
                forged.replace_range(at..=at, &changed.to_string());
                assert_eq!(key.read("123 cases", &forged).is_some(), forged == cursor);
            }
        }
        for forged in ["", "A", &cursor[1..], &format!("{cursor}A")] {
            assert_eq!(key.read("123 cases", forged), None);
        }
    }
}
