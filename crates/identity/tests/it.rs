//! Keys against a real database, as two processes see it.

use hermetic_clock::Clock;
use hermetic_identity::{ApiKey, IdentifyError, IssuedKey, KeyRequest, Keys, Owner, RANDOM_BYTES};
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
        let request = KeyRequest { owner, expires_unix_ms, by: "root".to_owned() };
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
    assert_eq!((who.key(), who.owner().subject.as_str()), (key.id(), "alice"));
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
