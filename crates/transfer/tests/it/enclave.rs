//! The enclave side: real store, database, ledger and trust folder below one temporary folder.

use crate::vendor::Vendor;
use hermetic_clock::{Clock, parse_rfc3339};
use hermetic_connector::{AllowList, Connector};
use hermetic_diagnostics::Diagnose;
use hermetic_keys::SigningKey;
use hermetic_ledger_store::{Ledger, LedgerOptions};
use hermetic_metadata::Metadata;
use hermetic_store::{ScrubReport, Store};
use hermetic_transfer::import::{ImportError, Imported, NoProgress, Order, Progress, Site, import};
use hermetic_trust::{Pinning, Root, TrustStore};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const NOW: &str = "2026-11-23T12:00:00Z";

#[derive(Debug)]
pub(crate) struct Enclave {
    _folder: Option<tempfile::TempDir>,
    pub(crate) state: PathBuf,
    pub(crate) site: Site,
}

impl Enclave {
    /// A fresh enclave that trusts `vendor`, at noon.
    pub(crate) fn trusting(vendor: &Vendor) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let enclave = Self::at(folder.path(), NOW);
        enclave.pin(&vendor.root);
        Self { _folder: Some(folder), ..enclave }
    }

    /// The enclave whose state is below `state`.
    pub(crate) fn at(state: &Path, now: &str) -> Self {
        let clock = Clock::manual(parse_rfc3339(now).unwrap());
        std::fs::create_dir_all(state.join("ledger")).unwrap();
        std::fs::create_dir_all(state.join("keys")).unwrap();
        let key = Arc::new(SigningKey::load_or_generate(&state.join("keys/ledger.pem")).unwrap());
        let connector = Connector::new(AllowList::loopback());
        let options =
            LedgerOptions::new(state.join("ledger"), "test.example/ledger", key, clock.clone(), connector);
        let site = Site {
            store: Store::open(&state.join("store")).unwrap(),
            metadata: Metadata::open(&state.join("metadata.sqlite")).unwrap(),
            ledger: Ledger::open(options).unwrap(),
            trust: TrustStore::at(&state.join("trust")),
            clock,
            proven_unix_ms: Vec::new(),
        };
        Self { _folder: None, state: state.to_owned(), site }
    }

    pub(crate) fn pin(&self, root: &Root) {
        self.site.trust.pin(root, Pinning::First).unwrap();
    }

    pub(crate) fn import(&self, bundle: &Path) -> Result<Imported, ImportError> {
        self.import_watched(bundle, &NoProgress)
    }

    pub(crate) fn import_watched(
        &self,
        bundle: &Path,
        progress: &dyn Progress,
    ) -> Result<Imported, ImportError> {
        import(&self.site, bundle, &order(), progress)
    }

    /// Imports a bundle that must be refused with `code`, and checks that nothing of it can be seen.
    pub(crate) fn refuses(&self, bundle: &Path, code: &str) -> ImportError {
        let before = self.visible();
        let error = self.import(bundle).expect_err("the bundle should have been refused");
        assert_eq!(error.code().as_str(), code, "{error}: {:?}", hermetic_diagnostics::chain(&error));
        assert!(hermetic_diagnostics::page(code).is_some(), "{code} has no page");
        assert_eq!(self.visible(), before, "a refused bundle left something behind");
        error
    }

    /// Everything an operator or a server could see of releases: blobs, names, rows.
    pub(crate) fn visible(&self) -> (Vec<String>, usize, usize) {
        let mut blobs: Vec<String> = std::fs::read_dir(self.site.store.root().join("blobs/sha256"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        blobs.sort();
        let named = self.site.store.list().unwrap().len();
        (blobs, named, self.site.metadata.releases().unwrap().len())
    }

    pub(crate) fn scrub(&self) -> ScrubReport {
        self.site.store.scrub(&mut |_| ControlFlow::Continue(())).unwrap()
    }
}

pub(crate) fn order() -> Order {
    Order { journal_bytes: 1 << 20, ..Order::by("mara") }
}
