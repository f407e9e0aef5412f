//! All issuers whose tokens count: the keys of each, the tokens already seen, those revoked.

use crate::authenticated::Authenticated;
use crate::token::compact::Compact;
use crate::token::error::{TokenError, TokenRefusal};
use crate::token::memory::{Remembered, UsedTokens, VerifiedTokens};
use crate::token::revoked::Revoked;
use crate::token::settings::IssuerSettings;
use crate::token::source::{Door, IssuerKeys};
use crate::token::verify::{Verified, verify};
use hermetic_clock::{Clock, UnixMillis};
use hermetic_connector::Connector;
use hermetic_digest::Digest;
use hermetic_ledger::record::Credential;
use hermetic_metadata::{Metadata, MetadataError};
use rustls::ClientConfig;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Verifies tokens. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Issuers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuers: Vec<Issuer>,
    door: Door,
    seen: VerifiedTokens,
    used: UsedTokens,
    revoked: Revoked,
    /// Single-use tokens issued before may have been used before: that was not remembered.
    started: UnixMillis,
}

#[derive(Debug)]
struct Issuer {
    settings: IssuerSettings,
    keys: IssuerKeys,
}

/// What issuers are spoken with and kept by.
#[derive(Debug)]
pub struct IssuersParts {
    pub settings: Vec<IssuerSettings>,
    pub connector: Connector,
    /// For issuers behind `https`; `None`: those cannot be reached.
    pub tls: Option<Arc<ClientConfig>>,
    pub clock: Clock,
    pub metadata: Metadata,
    /// Where key sets are kept so that they are there when the issuer is not. It exists.
    pub folder: PathBuf,
}

impl Issuers {
    pub fn open(parts: IssuersParts) -> Result<Self, MetadataError> {
        let folder = &parts.folder;
        let issuer =
            |settings: IssuerSettings| Issuer { keys: IssuerKeys::open(&settings, folder), settings };
        Ok(Self(Arc::new(Inner {
            issuers: parts.settings.into_iter().map(issuer).collect(),
            started: parts.clock.unix_millis(),
            door: Door { connector: parts.connector, tls: parts.tls, clock: parts.clock },
            seen: VerifiedTokens::default(),
            used: UsedTokens::default(),
            revoked: Revoked::open(parts.metadata)?,
        })))
    }

    /// Looks whether tokens were revoked since. Blocking; call it a few times a second.
    pub fn refresh(&self) -> Result<(), MetadataError> {
        self.0.revoked.refresh()
    }

    /// Whether what a token said, which was verified before, still counts.
    pub(crate) fn still(
        &self,
        credential: &Credential,
        (issuer, subject, id): (&str, &str, Option<&str>),
    ) -> Result<(), TokenError> {
        let inner = &*self.0;
        if !inner.issuers.iter().any(|known| *known.settings.issuer == *issuer) {
            return Err(TokenRefusal::UnknownIssuer.of(credential));
        }
        if inner.revoked.holds(issuer, subject, id) {
            return Err(TokenRefusal::Revoked.of(credential));
        }
        Ok(())
    }

    /// Reads keys that are due again. Call it every second or so.
    pub async fn look(&self) {
        for issuer in &self.0.issuers {
            issuer.keys.look(&self.0.door).await;
        }
    }

    /// On whose behalf whoever presents this token asks.
    pub async fn authenticate(&self, token: &str) -> Result<Authenticated, TokenError> {
        let inner = &*self.0;
        let digest = Digest::of(token.as_bytes());
        if let Some(caller) = inner.recall(&digest)? {
            return Ok(caller);
        }
        let compact = Compact::parse(token).map_err(TokenRefusal::unproved)?;
        // Which issuer to ask is the one thing taken from the token before it is proved.
        let named = compact.claims.text("iss");
        let found =
            inner.issuers.iter().enumerate().find(|(_, issuer)| Some(&*issuer.settings.issuer) == named);
        let (place, issuer) = found.ok_or_else(|| TokenRefusal::UnknownIssuer.unproved())?;
        let first = inner.verify(place, issuer, &digest, &compact);
        match first {
            Err(TokenError { reason: TokenRefusal::UnknownKey | TokenRefusal::NoKeys, .. }) => {
                issuer.keys.ask_again(&inner.door).await;
                inner.verify(place, issuer, &digest, &compact)
            }
            settled => settled,
        }
    }
}

impl Inner {
    fn now(&self) -> UnixMillis {
        self.door.clock.unix_millis()
    }

    /// The caller of a token seen before, if everything that could have changed has not.
    fn recall(&self, digest: &Digest) -> Result<Option<Authenticated>, TokenError> {
        let Some(known) = self.seen.get(digest) else { return Ok(None) };
        let verified = &known.verified;
        let Some(issuer) = self.issuers.get(known.issuer) else { return Ok(None) };
        if issuer.keys.state().number != known.keys || self.now() >= verified.until {
            return Ok(None);
        }
        self.unrevoked(issuer, verified)?;
        Ok(Some(verified.caller.clone()))
    }

    fn verify(
        &self,
        place: usize,
        issuer: &Issuer,
        digest: &Digest,
        token: &Compact<'_>,
    ) -> Result<Authenticated, TokenError> {
        let state = issuer.keys.state();
        if state.number == 0 {
            return Err(TokenRefusal::NoKeys.unproved());
        }
        let now = self.now();
        let verified = verify(&issuer.settings, &state.keys, token, now)?;
        self.unrevoked(issuer, &verified)?;
        let caller = verified.caller.clone();
        if issuer.settings.single_use {
            self.use_up(place, issuer, &verified, now).map_err(|refusal| refusal.of(caller.credential()))?;
        } else {
            self.seen.remember(*digest, Remembered { verified, issuer: place, keys: state.number }, now);
        }
        Ok(caller)
    }

    fn unrevoked(&self, issuer: &Issuer, verified: &Verified) -> Result<(), TokenError> {
        let id = verified.id.as_deref();
        if self.revoked.holds(&issuer.settings.issuer, &verified.subject, id) {
            let credential: &Credential = verified.caller.credential();
            return Err(TokenRefusal::Revoked.of(credential));
        }
        Ok(())
    }

    fn use_up(
        &self,
        place: usize,
        issuer: &Issuer,
        verified: &Verified,
        now: UnixMillis,
    ) -> Result<(), TokenRefusal> {
        let leeway = millis(issuer.settings.leeway);
        // The issuer's clock may be ahead by the leeway: a token that seems younger than the start may be older.
        if verified.issued.is_none_or(|issued| issued <= self.started.saturating_add(leeway)) {
            return Err(TokenRefusal::BeforeStart);
        }
        self.used.use_up(place, verified.id.as_deref().unwrap_or_default(), verified.until, now)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
