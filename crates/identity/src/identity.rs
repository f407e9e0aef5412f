//! Everything that tells who asks, behind one face.

use crate::authenticated::Authenticated;
use crate::certificate::{CertificateFacts, CertificateRules};
use crate::error::IdentifyError;
use crate::keys::Keys;
use crate::throttle::{Throttle, ThrottleOptions};
use crate::token::{Issuers, TokenRefusal};
use hermetic_metadata::MetadataError;
use std::sync::Arc;

/// Keys, issuers, certificate rules, and the count of who failed. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Identity(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    keys: Keys,
    issuers: Option<Issuers>,
    certificates: CertificateRules,
    throttle: Throttle,
}

impl Identity {
    /// `issuers`: `None` where no tokens are accepted.
    pub fn new(
        keys: Keys,
        issuers: Option<Issuers>,
        certificates: CertificateRules,
        throttle: ThrottleOptions,
    ) -> Self {
        Self(Arc::new(Parts { keys, issuers, certificates, throttle: Throttle::new(throttle) }))
    }

    /// Keys alone, nobody exempt from being slowed down.
    pub fn of_keys(keys: Keys) -> Self {
        Self::new(keys, None, CertificateRules::default(), ThrottleOptions::default())
    }

    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    /// Looks whether keys or tokens were issued or revoked since. Blocking; call it a few times a second.
    pub fn refresh(&self) -> Result<(), MetadataError> {
        // Revocations of tokens first: the keys' look is what counts as having seen the database.
        if let Some(issuers) = &self.0.issuers {
            issuers.refresh()?;
        }
        self.0.keys.refresh().map(|_| ())
    }

    /// On whose behalf whoever presents this text, an API key or a token, asks.
    pub async fn bearer(&self, presented: &str) -> Result<Authenticated, IdentifyError> {
        match &self.0.issuers {
            // No key has a dot; no token is without.
            Some(issuers) if presented.contains('.') => {
                self.0.keys.fresh()?;
                // Boxed: a key, which most present, has no use for the room that a token takes.
                Box::pin(issuers.authenticate(presented)).await.map_err(IdentifyError::Token)
            }
            _ => self.0.keys.authenticate(presented),
        }
    }

    /// On whose behalf whoever holds this certificate, whose chain was verified, asks.
    pub fn certificate(&self, facts: &CertificateFacts) -> Result<Authenticated, IdentifyError> {
        self.0.certificates.authenticate(facts).map_err(IdentifyError::Certificate)
    }

    /// Fails if the token that said so, or its subject, was revoked, or its issuer counts no more.
    pub(crate) fn unrevoked(
        &self,
        caller: &Authenticated,
        token: (&str, &str, Option<&str>),
    ) -> Result<(), IdentifyError> {
        let issuers = self.0.issuers.as_ref();
        let checked = match issuers {
            Some(issuers) => issuers.still(caller.credential(), token),
            None => Err(TokenRefusal::UnknownIssuer.of(caller.credential())),
        };
        checked.map_err(IdentifyError::Token)
    }
}
