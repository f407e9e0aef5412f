//! A repository made by Git, with a policy folder two folders down.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub(crate) struct Repository(TempDir);

impl Repository {
    /// `None`, said aloud, where there is no Git, or one that does not know this kind of name.
    pub(crate) fn new(algorithm: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("git")
            .args(["init", "--quiet", "--initial-branch", "main", "--object-format", algorithm])
            .arg(folder.path())
            .output();
        match made {
            Ok(made) if made.status.success() => Some(Self(folder)),
            Ok(made) => panic!("git init: {}", String::from_utf8_lossy(&made.stderr)),
            Err(error) => {
                println!("skipped: git is not installed ({error})");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn policies(&self) -> PathBuf {
        self.0.path().join("site/policy")
    }

    /// Runs Git, independent of whoever runs the test, and returns what it printed.
    pub(crate) fn git(&self, words: &[&str]) -> String {
        let done = Command::new("git")
            .current_dir(self.0.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args(["-c", "user.name=test", "-c", "user.email=test@example"])
            .args(words)
            .output()
            .unwrap();
        assert!(done.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// A few commits of a folder of many files, so that packed trees become differences.
    pub(crate) fn commit_many(&self) {
        std::fs::create_dir_all(self.policies()).unwrap();
        for round in 0..4 {
            for file in 0..40 {
                if round == 0 || file == round {
                    let text = format!("// file {file} of round {round}\n");
                    std::fs::write(self.policies().join(format!("{file}.cedar")), text).unwrap();
                }
            }
            self.git(&["add", "."]);
            self.git(&["commit", "--quiet", "--message", &format!("round {round}")]);
        }
    }

    /// Whether some tree in a pack is kept as a difference.
    pub(crate) fn has_deltas(&self) -> bool {
        let packs = std::fs::read_dir(self.path().join(".git/objects/pack")).unwrap();
        packs.filter_map(|entry| entry.unwrap().path().to_str().map(str::to_owned)).any(|path| {
            let listed = path.ends_with(".idx").then(|| self.git(&["verify-pack", "-v", &path]));
            // A difference has two more columns: how deep, and against what.
            listed.is_some_and(|listed| {
                listed.lines().any(|line| line.contains(" tree ") && line.split_whitespace().count() == 7)
            })
        })
    }
}
