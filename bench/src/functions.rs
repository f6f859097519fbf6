//! The measured binaries.

use std::{
    fs,
    path::{Path, PathBuf},
};

use local::{Error, Result};

use crate::lambda::Launch;

/// The folders with the binaries.
#[derive(Clone, Debug)]
pub(crate) struct Functions {
    release: PathBuf,
    debug: PathBuf,
}

impl Functions {
    /// The release binaries in one folder; where one is missing, the debug binary in another folder, of which only the calls
    /// to DynamoDB are measured.
    pub(crate) fn in_folders(release: &Path, debug: &Path) -> Self {
        Self { release: release.to_owned(), debug: debug.to_owned() }
    }

    /// Whether there is a release binary.
    pub(crate) fn is_release(&self, name: &str) -> bool {
        self.release.join(name).is_file()
    }

    /// Starts a function with this environment.
    pub(crate) fn launch(&self, name: &str, environment: Vec<(String, String)>) -> Launch {
        let folder = if self.is_release(name) { &self.release } else { &self.debug };
        Launch { program: folder.join(name), under: Vec::new(), environment, log: None }
    }

    /// The bytes of a release binary.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.release.join(name);
        fs::read(&path).map_err(|error| Error::new(format!("{}: {error}", path.display())))
    }
}
