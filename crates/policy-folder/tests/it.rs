//! A policy folder inside real Git repositories, made by Git itself.

#[path = "it/repository.rs"]
mod repository;

use hermetic_policy::Agreement;
use hermetic_policy_folder::{Stamp, read};
use repository::Repository;

#[test]
fn a_folder_outside_a_working_tree_has_files_and_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("b.cedar"), "b").unwrap();
    std::fs::write(folder.path().join("a.cedar"), "a").unwrap();
    std::fs::write(folder.path().join("a.test.yaml"), "cases: []").unwrap();
    std::fs::create_dir(folder.path().join("c.cedar")).unwrap();
    let found = read(folder.path()).unwrap();
    let names: Vec<&str> = found.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!((names, found.commit), (vec!["a.cedar", "b.cedar"], None));
    assert!(read(&folder.path().join("missing")).is_err());
}

/// Every way Git may keep the same commit; each must be read alike.
#[test]
fn the_commit_is_read_from_loose_objects_packs_packed_refs_and_a_detached_head() {
    for algorithm in ["sha1", "sha256"] {
        let Some(repository) = Repository::new(algorithm) else { return };
        repository.commit_many();
        for rearrange in [
            &[][..],
            &["gc", "--quiet", "--aggressive"],
            &["pack-refs", "--all"],
            &["checkout", "--quiet", "--detach"],
            // Git keeps the newest version whole: older ones are the differences.
            &["checkout", "--quiet", "--detach", "HEAD~3"],
        ] {
            if !rearrange.is_empty() {
                repository.git(rearrange);
            }
            let commit = read(&repository.policies()).unwrap().commit.unwrap();
            assert_eq!(commit.id, repository.git(&["rev-parse", "HEAD"]), "{algorithm} {rearrange:?}");
            assert_eq!(commit.agreement, Agreement::Clean, "{algorithm} {rearrange:?}");
        }
        assert!(repository.has_deltas(), "a packed tree that is a difference was read");
    }
}

#[test]
fn linked_working_trees_and_borrowed_objects_are_followed() {
    let Some(repository) = Repository::new("sha1") else { return };
    repository.commit_many();
    let elsewhere = tempfile::tempdir().unwrap();
    let linked = elsewhere.path().join("linked");
    repository.git(&["worktree", "add", "--quiet", linked.to_str().unwrap(), "HEAD~1"]);
    let shared = elsewhere.path().join("shared");
    repository.git(&["clone", "--quiet", "--shared", ".", shared.to_str().unwrap()]);
    let commit = |tree: &std::path::Path| read(&tree.join("site/policy")).unwrap().commit.unwrap();
    assert_eq!(commit(&linked).id, repository.git(&["rev-parse", "HEAD~1"]));
    assert_eq!(commit(&linked).agreement, Agreement::Clean);
    assert_eq!(commit(&shared).agreement, Agreement::Clean);
}

#[test]
fn whatever_differs_from_the_commit_is_dirty_and_nothing_else_is() {
    let Some(repository) = Repository::new("sha1") else { return };
    repository.commit_many();
    let folder = repository.policies();
    let agreement = || read(&folder).unwrap().commit.unwrap().agreement;
    let change = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    change("notes.txt", "no policy");
    change("a.test.yaml", "cases: []");
    assert_eq!(agreement(), Agreement::Clean);
    change("new.cedar", "// new");
    assert_eq!(agreement(), Agreement::Dirty);
    std::fs::remove_file(folder.join("new.cedar")).unwrap();
    assert_eq!(agreement(), Agreement::Clean);
    let text = std::fs::read_to_string(folder.join("7.cedar")).unwrap();
    change("7.cedar", &format!("{text} "));
    assert_eq!(agreement(), Agreement::Dirty);
    // Staged is not committed.
    repository.git(&["add", "."]);
    assert_eq!(agreement(), Agreement::Dirty);
    repository.git(&["commit", "--quiet", "--message", "changed"]);
    assert_eq!(agreement(), Agreement::Clean);
    std::fs::remove_file(folder.join("7.cedar")).unwrap();
    assert_eq!(agreement(), Agreement::Dirty);
}

#[test]
fn a_commit_whose_objects_are_missing_or_damaged_is_unverified() {
    let Some(repository) = Repository::new("sha1") else { return };
    repository.commit_many();
    let tree = repository.git(&["rev-parse", "HEAD:site/policy"]);
    let object = repository.path().join(".git/objects").join(&tree[..2]).join(&tree[2..]);
    let agreement = || read(&repository.policies()).unwrap().commit.unwrap().agreement;
    let other = repository.git(&["rev-parse", "HEAD:site"]);
    let other = repository.path().join(".git/objects").join(&other[..2]).join(&other[2..]);
    // Another object under this one's name: sound by itself, and not what it is called.
    std::fs::remove_file(&object).unwrap();
    std::fs::copy(other, &object).unwrap();
    assert_eq!(agreement(), Agreement::Unverified);
    std::fs::remove_file(&object).unwrap();
    assert_eq!(agreement(), Agreement::Unverified);
}

#[test]
fn a_repository_without_a_commit_and_a_head_that_leads_outside_give_none() {
    let Some(repository) = Repository::new("sha1") else { return };
    std::fs::create_dir_all(repository.policies()).unwrap();
    assert_eq!(read(&repository.policies()).unwrap().commit, None);
    let id = "a".repeat(40);
    std::fs::write(repository.path().join("secret"), &id).unwrap();
    std::fs::write(repository.path().join(".git/HEAD"), "ref: refs/heads/../../../secret\n").unwrap();
    assert_eq!(read(&repository.policies()).unwrap().commit, None);
}

#[test]
fn a_stamp_changes_with_files_and_with_what_is_checked_out() {
    let Some(repository) = Repository::new("sha1") else { return };
    repository.commit_many();
    let stamp = || Stamp::of(&repository.policies()).unwrap();
    let first = stamp();
    assert_eq!(stamp(), first);
    std::fs::write(repository.policies().join("notes.txt"), "no policy").unwrap();
    assert_eq!(stamp(), first);
    repository.git(&["commit", "--quiet", "--allow-empty", "--message", "empty"]);
    let second = stamp();
    assert_ne!(second, first);
    std::fs::write(repository.policies().join("7.cedar"), "// longer than it was before").unwrap();
    assert_ne!(stamp(), second);
}
