//! Which checkpoints there are, and which are new.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::exit::Failure;
use crate::points;

/// The files of a pattern, or a list of them.
pub(crate) struct Files {
    pattern: String,
    more: Vec<PathBuf>,
    follow: bool,
    taken: BTreeSet<PathBuf>,
}

impl Files {
    /// Without `follow`, there must be some now.
    pub(crate) fn new(pattern: String, more: Vec<PathBuf>, follow: bool) -> Result<Self, Failure> {
        let files = Self { pattern, more, follow, taken: BTreeSet::new() };
        files.all()?;
        Ok(files)
    }

    /// Those that were not taken yet, in the order of the numbers in their names.
    pub(crate) fn new_ones(&self) -> Result<Vec<PathBuf>, Failure> {
        Ok(self.all()?.into_iter().filter(|path| !self.taken.contains(path)).collect())
    }

    /// How many there are now, with those taken.
    pub(crate) fn known(&self) -> Result<usize, Failure> {
        Ok(self.all()?.len())
    }

    /// A file is done with.
    pub(crate) fn took(&mut self, path: &Path) {
        self.taken.insert(path.to_path_buf());
    }

    fn all(&self) -> Result<Vec<PathBuf>, Failure> {
        let literal = PathBuf::from(&self.pattern);
        let mut files = if literal.is_file() {
            vec![literal]
        } else {
            match points::matching(&self.pattern) {
                Err(Failure::Input(_)) if self.follow => vec![],
                found => found?,
            }
        };
        files.extend(self.more.iter().cloned());
        Ok(files)
    }
}

/// The last number in a file's name, without its extension.
pub(crate) fn step_of(path: &Path) -> Option<usize> {
    let name = path.file_stem()?.to_string_lossy().into_owned();
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = name[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    name[start..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_is_the_step() {
        let step = |name: &str| step_of(Path::new(name));
        assert_eq!(step("run-3/step-000150.safetensors"), Some(150));
        assert_eq!(step("resnet18_epoch12_best.pth"), Some(12));
        assert_eq!(step("7.safetensors"), Some(7));
        assert_eq!(step("schritt\u{fc}9.pt"), Some(9));
        assert_eq!(step("last.safetensors"), None);
    }
}
