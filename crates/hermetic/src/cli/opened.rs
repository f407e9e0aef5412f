//! Opening what an enclave keeps: rows, blobs, the ledger, the door to the network.
//!
//! One place, so that every command opens the same thing the same way.

use super::enclave::Enclave;
use hermetic_clock::Clock;
use hermetic_config::Capture;
use hermetic_connector::{AllowList, Connector};
use hermetic_content_store::{ContentKey, ContentStore};
use hermetic_diagnostics::Report;
use hermetic_gateway::{BatchOptions, Batches, StoreOptions, StoredResponses};
use hermetic_keys::{Secret, SigningKey};
use hermetic_ledger_store::{Ledger, LedgerOptions};
use hermetic_metadata::Metadata;
use hermetic_registry::Registry;
use hermetic_store::Store;
use std::path::PathBuf;
use std::sync::Arc;

impl Enclave {
    /// The key that signs the ledger's checkpoints.
    pub(crate) fn ledger_key_path(&self) -> PathBuf {
        self.paths.keys().join("ledger.pem")
    }

    pub(crate) fn connector(&self) -> Connector {
        let boundary = &self.config.network.enclave;
        // The configuration has checked the suffixes; one the connector cannot read is left out, which refuses.
        let suffixes = boundary.suffixes().iter().filter_map(|suffix| suffix.parse().ok()).collect();
        Connector::new(AllowList::new(boundary.networks(), suffixes))
    }

    /// The secret that the salts of commitments come from.
    pub(crate) fn commitment_secret(&self) -> Result<Secret, Report> {
        Ok(Secret::load_or_generate(&self.paths.keys().join("commitments.pem"))?)
    }

    /// Where content is to be kept, when the configuration wants it kept.
    pub(crate) fn capture(&self) -> Result<Option<ContentStore>, Report> {
        match self.config.ledger.capture {
            Capture::None => Ok(None),
            Capture::Encrypted => self.content().map(Some),
        }
    }

    /// Where content was kept, whatever the configuration wants now.
    pub(crate) fn content(&self) -> Result<ContentStore, Report> {
        let secret = Secret::load_or_generate(&self.paths.keys().join("content.pem"))?;
        Ok(ContentStore::open(&self.paths.content(), ContentKey::from_bytes(secret.bytes()))?)
    }

    /// Files and batches. For the process that serves alone: it removes what is left of those before it.
    pub(crate) fn batches(&self) -> Result<Batches, Report> {
        let secret = Secret::load_or_generate(&self.paths.keys().join("content.pem"))?;
        let settings = &self.config.batches;
        let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let options = BatchOptions {
            lines_max: settings.lines_max.into(),
            file_bytes_max: settings.file_bytes_max,
            project_bytes_max: settings.project_bytes_max,
            in_flight: number(settings.in_flight),
            in_flight_per_batch: number(settings.in_flight_per_batch),
            retention: settings.retention,
        };
        let key = ContentKey::from_bytes(secret.bytes());
        Ok(Batches::open(&self.paths.batches(), key, self.metadata()?, options)?)
    }

    /// Responses that are kept, or were: those of before go when their time is over. As with batches, for the process that
    /// serves alone, once it has settled what those before it left open.
    pub(crate) fn responses(&self) -> Result<Option<StoredResponses>, Report> {
        let (settings, folder) = (&self.config.responses, self.paths.responses());
        if !settings.store && !folder.exists() {
            return Ok(None);
        }
        let secret = Secret::load_or_generate(&self.paths.keys().join("content.pem"))?;
        let options = StoreOptions {
            keeps: settings.store,
            retention: settings.retention,
            response_bytes_max: usize::try_from(settings.response_bytes_max).unwrap_or(usize::MAX),
            conversation_bytes_max: settings.conversation_bytes_max,
            turns_max: settings.turns_max,
            project_bytes_max: settings.project_bytes_max,
        };
        let key = ContentKey::from_bytes(secret.bytes());
        Ok(Some(StoredResponses::open(&folder, key, self.metadata()?, options)?))
    }

    pub(crate) fn metadata(&self) -> Result<Metadata, Report> {
        Ok(Metadata::open(&self.paths.metadata())?)
    }

    pub(crate) fn store(&self) -> Result<Store, Report> {
        Ok(Store::open(&self.paths.store())?)
    }

    pub(crate) fn registry(&self) -> Result<Registry, Report> {
        Ok(Registry::new(self.metadata()?, self.store()?))
    }

    /// The ledger, for writing. When another process of this enclave writes it, records are handed to that one.
    pub(crate) fn ledger(&self, clock: &Clock, connector: &Connector) -> Result<Ledger, Report> {
        let key = Arc::new(SigningKey::load_or_generate(&self.ledger_key_path())?);
        let settings = &self.config.ledger;
        let mut options =
            LedgerOptions::new(self.paths.ledger(), &settings.origin, key, clock.clone(), connector.clone());
        options.last_signed = self.paths.keys().join("ledger.last-signed");
        options.checkpoint_interval = settings.checkpoint_interval;
        options.queue_records = usize::try_from(settings.queue_records).unwrap_or(usize::MAX);
        Ok(Ledger::open(options)?)
    }
}
