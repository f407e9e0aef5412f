//! A caller who is acted for later, when what was presented is no longer at hand.

use crate::authenticated::{Authenticated, Grants};
use crate::error::IdentifyError;
use crate::identity::Identity;
use crate::scopes::Scopes;
use hermetic_inference_api::Surface;
use hermetic_ledger::record::{Credential, Extent, Owner};
use serde::{Deserialize, Serialize};

/// What is kept of a caller: never what was presented, only what it stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub credential: Credential,
    pub owner: Owner,
    pub extent: Extent,
}

impl Standing {
    /// `None`: of a certificate nothing can be said once its connection has ended.
    pub fn of(who: &Authenticated) -> Option<Self> {
        let credential = who.credential().clone();
        (!matches!(credential, Credential::Certificate { .. })).then(|| Self {
            credential,
            owner: who.owner().clone(),
            extent: who.extent(),
        })
    }

    /// What the credential said of its holder. A limit that is not understood refuses all of it.
    pub(crate) fn grants(&self) -> Option<Grants> {
        let Extent { surfaces, models, groups, clearance, metadata } = &self.extent;
        let surfaces = surfaces.iter().map(|name| Surface::of_name(name)).collect::<Option<_>>()?;
        let models = models.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?;
        let pairs = metadata.iter().map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
        Some(Grants {
            owner: self.owner.clone(),
            groups: groups.clone(),
            clearance: clearance.clone(),
            scopes: Scopes { surfaces, models },
            metadata: pairs.collect::<Option<_>>()?,
        })
    }
}

impl Identity {
    /// The caller, if the credential still counts: a key that is neither expired nor revoked, with what it is limited to
    /// by now; the holder of a token, if the issuer still counts and neither token nor subject were revoked. That a
    /// token is meant for minutes does not matter: what it began was begun while it counted.
    pub fn still(&self, standing: &Standing) -> Result<Authenticated, IdentifyError> {
        match &standing.credential {
            Credential::ApiKey { key } => self.keys().holder(*key),
            Credential::Token { issuer, subject, id } => {
                self.keys().fresh()?;
                let grants = standing.grants().ok_or(IdentifyError::Malformed)?;
                let caller = Authenticated::new(standing.credential.clone(), grants);
                self.unrevoked(&caller, (issuer, subject, id.as_deref()))?;
                Ok(caller)
            }
            Credential::Certificate { .. } => Err(IdentifyError::Malformed),
        }
    }
}
