//! The types of files that cases can have. A program that shows or runs what it gets must not be given anything else.

use super::MAX_NAME;
use crate::{
    base::{
        field_error::{FieldCode, Invalid},
        private::Private,
        validate::{Checked, name},
    },
    wire_enum,
};

wire_enum! {
    /// The media type of a file.
    FileType {
        Stl = "model/stl", Ply = "model/ply", Obj = "model/obj", Dicom = "application/dicom", Pdf = "application/pdf",
        Jpeg = "image/jpeg", Png = "image/png", Heic = "image/heic", Zip = "application/zip",
    }
}

impl FileType {
    /// The extensions of the names of such files, in lower case.
    fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Stl => &["stl"],
            Self::Ply => &["ply"],
            Self::Obj => &["obj"],
            Self::Dicom => &["dcm"],
            Self::Pdf => &["pdf"],
            Self::Jpeg => &["jpg", "jpeg"],
            Self::Png => &["png"],
            Self::Heic => &["heic"],
            Self::Zip => &["zip"],
        }
    }

    /// Checks that the name has an extension of this type.
    pub(super) fn check_name(self, file_name: &Private<String>) -> Checked<()> {
        let extension =
            file_name.expose().rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
        if extension.is_some_and(|extension| self.extensions().contains(&extension.as_str())) {
            return Ok(());
        }
        let expected: Vec<String> =
            self.extensions().iter().map(|extension| format!(".{extension}")).collect();
        let detail = format!("must end with {}, as content_type says", expected.join(" or "));
        Err(Invalid::inconsistent("/content_type", detail))
    }
}

/// Reads the name of a file from a request: a name without a folder.
pub(super) fn file_name(value: &serde_json::Value) -> Checked<Private<String>> {
    let file_name = name(1..=MAX_NAME)(value)?;
    if file_name.expose().chars().any(char::is_control) {
        return Err(Invalid::new(FieldCode::Characters, "must not have control characters"));
    }
    if file_name.expose().contains(['/', '\\']) {
        return Err(Invalid::format("file_name", "must be the name of a file, without a folder"));
    }
    Ok(file_name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::wire_enum::WireEnum;

    #[test]
    fn a_name_must_fit_its_type() {
        let fits = |kind: FileType, name: &str| kind.check_name(&Private::new(name.to_owned())).is_ok();
        assert!(fits(FileType::Jpeg, "a.JPG") && fits(FileType::Jpeg, "a.b.jpeg"));
        for name in ["a.jpg.exe", "jpg", "a.", "a.html"] {
            assert!(!FileType::ALL.iter().any(|kind| fits(*kind, name)), "{name}");
        }
    }

    #[test]
    fn a_name_has_no_folder() {
        assert!(file_name(&json!("Oberkiefer – Müller (2).stl")).is_ok());
        for name in ["a/b.stl", "a\\b.stl", "a\nb.stl", "a\u{202e}lts.exe", "", " "] {
            assert!(file_name(&json!(name)).is_err(), "{name:?}");
        }
    }
}
