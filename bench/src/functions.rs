//! The measured binaries.

use std::{
    fs,
    path::{Path, PathBuf},
};

use local::{Error, Result};

use crate::lambda::Launch;

/// The folder with the release binaries.
#[derive(Clone, Debug)]
pub(crate) struct Functions {
    folder: PathBuf,
}

impl Functions {
    /// The binaries in this folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The path of a binary.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts a function with this environment.
    pub(crate) fn launch(&self, name: &str, environment: Vec<(String, String)>) -> Launch {
        Launch { program: self.path(name), under: Vec::new(), environment, log: None }
    }

    /// The bytes of a binary.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.path(name);
        fs::read(&path).map_err(|error| Error::new(format!("{}: {error}; build it first", path.display())))
    }
}
