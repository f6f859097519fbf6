//! Opaque list positions. A cursor is bound to its lab and signed: one of another lab, or with a changed byte, is
//! refused, so clients cannot come to depend on what is inside.

use aws_lc_rs::{constant_time, hmac};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    config::Secret,
    error::{Code, Error},
    lab::LabId,
};

/// 128 bits of HMAC-SHA-256 are kept: enough against guessing (NIST SP 800-107, 5.3.1), and the cursor stays short.
const TAG_BYTES: usize = 16;

/// Makes and reads cursors.
pub(crate) struct CursorKey(hmac::Key);

impl CursorKey {
    pub(crate) fn new(secret: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
    }

    /// The cursor for what comes after `position` in a list of the lab; `list` names the list.
    pub(crate) fn seal(&self, lab: LabId, list: &str, position: u64) -> String {
        let position = position.to_be_bytes();
        let tag = self.tag(lab, list, position);
        URL_SAFE_NO_PAD.encode([&position[..], &tag].concat())
    }

    /// The position that a cursor of this list holds.
    pub(crate) fn open(&self, lab: LabId, list: &str, cursor: &str) -> Result<u64, Error> {
        self.read(lab, list, cursor).ok_or_else(|| {
            Error::new(Code::InvalidCursor, "The cursor was not given out for this list. Start without one.")
        })
    }

    fn read(&self, lab: LabId, list: &str, cursor: &str) -> Option<u64> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (position, tag) = bytes.split_first_chunk::<8>()?;
        constant_time::verify_slices_are_equal(&self.tag(lab, list, *position), tag).ok()?;
        Some(u64::from_be_bytes(*position))
    }

    fn tag(&self, lab: LabId, list: &str, position: [u8; 8]) -> [u8; TAG_BYTES] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(b"lhcms cursor 1");
        context.update(&lab.get().to_be_bytes());
        context.update(&position);
        context.update(list.as_bytes());
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG_BYTES]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab(id: u64) -> LabId {
        LabId::new(id).unwrap()
    }

    #[test]
    fn a_cursor_leads_back_to_its_position_in_its_list_only() {
        let key = CursorKey::new(&Secret::new("key"));
        let cursor = key.seal(lab(123), "cases", 42);
        assert_eq!(key.read(lab(123), "cases", &cursor), Some(42));
        assert_eq!(key.read(lab(456), "cases", &cursor), None);
        assert_eq!(key.read(lab(123), "history of 1", &cursor), None);
        assert_eq!(CursorKey::new(&Secret::new("other")).read(lab(123), "cases", &cursor), None);
    }

    #[test]
    fn a_cursor_with_any_changed_character_is_refused() {
        let key = CursorKey::new(&Secret::new("key"));
        let cursor = key.seal(lab(123), "cases", 42);
        for at in 0..cursor.len() {
            for changed in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=".chars() {
                let mut forged = cursor.clone();
                forged.replace_range(at..=at, &changed.to_string());
                assert_eq!(key.read(lab(123), "cases", &forged).is_some(), forged == cursor);
            }
        }
        for forged in ["", "A", &cursor[1..], &format!("{cursor}A")] {
            assert_eq!(key.read(lab(123), "cases", forged), None);
        }
    }
}
