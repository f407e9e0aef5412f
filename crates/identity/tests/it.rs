//! Keys against a real database, as two processes see it.

use hermetic_clock::Clock;
use hermetic_identity::{
    ApiKey, Credential, Grants, IdentifyError, IssuedKey, KeyRequest, Keys, Owner, RANDOM_BYTES,
};
use hermetic_metadata::Metadata;
use std::time::Duration;

struct Site {
    _folder: tempfile::TempDir,
    clock: Clock,
    /// The serving process's keys and the operator's own connection.
    keys: Keys,
    operator: Metadata,
}

fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.sqlite");
    let clock = Clock::manual(1_000_000);
    let keys = Keys::open(Metadata::open(&path).unwrap(), clock.clone(), Duration::from_secs(10)).unwrap();
    Site { operator: Metadata::open(&path).unwrap(), _folder: folder, clock, keys }
}

impl Site {
    fn issue(&self, random: u8, expires_unix_ms: Option<u64>) -> ApiKey {
        let owner = Owner {
            subject: "alice".parse().unwrap(),
            project: "demo".parse().unwrap(),
            team: "eng".parse().unwrap(),
            workflow: "docs".parse().unwrap(),
        };
        let request = KeyRequest { grants: Grants::of(owner), expires_unix_ms, by: "root".to_owned() };
        let issued = IssuedKey::new(request, [random; RANDOM_BYTES], self.clock.unix_millis());
        self.operator.insert_api_key(&issued.row).unwrap();
        issued.key
    }
}

#[test]
fn a_key_issued_by_another_process_is_in_force_after_a_refresh() {
    let site = site();
    let key = site.issue(1, None);
    assert!(matches!(site.keys.authenticate(&key.reveal()), Err(IdentifyError::Unknown { .. })));
    assert!(site.keys.refresh().unwrap());
    assert!(!site.keys.refresh().unwrap());
    let who = site.keys.authenticate(&key.reveal()).unwrap();
    assert_eq!(
        (who.credential(), who.owner().subject.as_str()),
        (&Credential::ApiKey { key: key.id() }, "alice")
    );
}

#[test]
fn a_revoked_key_is_refused_after_a_refresh_and_only_its_holder_is_told() {
    let site = site();
    let key = site.issue(1, None);
    site.keys.refresh().unwrap();
    site.operator.revoke_api_key(&key.id(), 42, "mara").unwrap();
    site.keys.refresh().unwrap();
    assert_eq!(
        site.keys.authenticate(&key.reveal()).unwrap_err(),
        IdentifyError::Revoked { key: key.id(), at: 42 }
    );
    let mut guess = key.reveal();
    guess.replace_range(30..31, if &guess[30..31] == "A" { "B" } else { "A" });
    assert_eq!(site.keys.authenticate(&guess).unwrap_err(), IdentifyError::Unknown { claimed: key.id() });
}

#[test]
fn a_key_expires_at_its_instant() {
    let site = site();
    let expires = site.clock.unix_millis() + 100;
    let key = site.issue(1, Some(expires));
    site.keys.refresh().unwrap();
    site.clock.advance(Duration::from_millis(99));
    assert!(site.keys.authenticate(&key.reveal()).is_ok());
    site.clock.advance(Duration::from_millis(1));
    assert_eq!(
        site.keys.authenticate(&key.reveal()).unwrap_err(),
        IdentifyError::Expired { key: key.id(), at: expires }
    );
}

#[test]
fn keys_are_not_trusted_when_the_database_was_not_seen_for_too_long() {
    let site = site();
    let key = site.issue(1, None);
    site.keys.refresh().unwrap();
    site.clock.advance(Duration::from_secs(11));
    assert!(matches!(site.keys.authenticate(&key.reveal()), Err(IdentifyError::Stale { .. })));
    site.keys.refresh().unwrap();
    assert!(site.keys.authenticate(&key.reveal()).is_ok());
}

#[test]
fn of_a_rotated_key_both_work_until_the_overlap_ends_and_then_the_new_one_alone() {
    let site = site();
    let old = site.issue(1, None);
    let row = site.operator.api_keys().unwrap().remove(0);
    let now = site.clock.unix_millis();
    let issued = IssuedKey::successor(&row, None, "mara".to_owned(), [2; RANDOM_BYTES], now);
    assert!(site.operator.rotate_api_key(&old.id(), &issued.row, now + 1000).unwrap());
    site.keys.refresh().unwrap();
    let works = |key: &ApiKey| site.keys.authenticate(&key.reveal()).map(|who| who.owner().clone());
    assert_eq!(works(&old).unwrap(), works(&issued.key).unwrap());
    site.clock.advance(Duration::from_millis(1000));
    assert!(matches!(works(&old), Err(IdentifyError::Expired { .. })));
    assert!(works(&issued.key).is_ok());
}

#[test]
fn a_use_is_noted_once_a_minute_and_outlives_a_change_of_the_table() {
    let site = site();
    let key = site.issue(1, None);
    site.keys.refresh().unwrap();
    let used = || site.operator.api_keys().unwrap().remove(0).last_used_unix_ms;
    let use_it = || drop(site.keys.authenticate(&key.reveal()).unwrap());
    assert_eq!((site.keys.note_use().unwrap(), used()), (0, None));
    use_it();
    site.issue(2, None);
    site.keys.refresh().unwrap();
    assert_eq!((site.keys.note_use().unwrap(), used()), (1, Some(960_000)), "rounded down to the minute");
    use_it();
    assert_eq!(site.keys.note_use().unwrap(), 0, "the same minute");
    site.clock.advance(hermetic_identity::USE_GRAIN);
    site.keys.refresh().unwrap();
    use_it();
    assert_eq!((site.keys.note_use().unwrap(), used()), (1, Some(1_020_000)));
}

#[test]
fn a_key_carries_its_groups_clearance_limits_and_metadata() {
    let site = site();
    let key = site.issue(1, None);
    let mut row = site.operator.api_keys().unwrap().remove(0);
    row.id = hermetic_ids::KeyId::from_bytes([9; 8]);
    row.groups = vec!["b".parse().unwrap(), "a".parse().unwrap(), "b".parse().unwrap()];
    row.clearance = Some("secret".parse().unwrap());
    row.models = vec!["llama-*".to_owned()];
    row.metadata.insert("cost-centre".to_owned(), "42".to_owned());
    let issued = IssuedKey::successor(&row, None, "mara".to_owned(), [3; RANDOM_BYTES], 5);
    let row = hermetic_metadata::ApiKeyRow { rotated_from: Some(key.id()), ..issued.row };
    site.operator.insert_api_key(&row).unwrap();
    site.keys.refresh().unwrap();
    let who = site.keys.authenticate(&issued.key.reveal()).unwrap();
    let groups: Vec<&str> = who.groups().iter().map(|group| group.as_str()).collect();
    assert_eq!((groups, who.clearance().unwrap().as_str()), (vec!["a", "b"], "secret"));
    assert_eq!(who.metadata()["cost-centre"].as_str(), "42");
    assert!(who.scopes().models[0].covers(&"llama-3".parse().unwrap()));
}

#[test]
fn a_limit_that_is_not_understood_does_not_become_no_limit() {
    let site = site();
    let key = site.issue(1, None);
    let mut row = site.operator.api_keys().unwrap().remove(0);
    row.surfaces = vec!["chat.telepathy".to_owned()];
    let issued = IssuedKey::successor(&row, None, "mara".to_owned(), [2; RANDOM_BYTES], 5);
    let row = hermetic_metadata::ApiKeyRow { rotated_from: Some(key.id()), ..issued.row };
    site.operator.insert_api_key(&row).unwrap();
    assert!(site.keys.refresh().is_err());
    assert!(site.keys.authenticate(&issued.key.reveal()).is_err());
}
