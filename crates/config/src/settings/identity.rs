//! `identity` as the rest of the program sees it. Templates and patterns stay texts: `hermetic-identity` reads them, and
//! `formats` has checked their form.

use crate::formats;
use crate::wire::{self, SurfaceName, TokenAlgorithm};
use hermetic_ids::GroupName;
use ipnet::IpNet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

#[derive(Debug, Clone)]
pub struct Identity {
    pub trust_anchors: Option<PathBuf>,
    pub issuers: Vec<Issuer>,
    pub certificates: Vec<CertificateRule>,
    pub throttle: Throttle,
}

#[derive(Debug, Clone)]
pub struct Issuer {
    pub issuer: String,
    pub audiences: Vec<String>,
    pub keys: IssuerKeys,
    pub algorithms: Vec<TokenAlgorithm>,
    pub token_types: Vec<String>,
    pub leeway: Duration,
    pub max_age: Option<Duration>,
    pub require: Vec<String>,
    pub single_use: bool,
    pub refresh: Duration,
    pub grants: Grants,
    /// The claim that lists groups.
    pub groups_claim: Option<String>,
}

/// Where an issuer's keys are. In sealed tiers a URL's host lies inside the enclave.
#[derive(Debug, Clone)]
pub enum IssuerKeys {
    /// The discovery document.
    Discovery(Url),
    Uri(Url),
    File(PathBuf),
}

/// Templates of what a credential's holder is granted.
#[derive(Debug, Clone)]
pub struct Grants {
    pub subject: String,
    pub project: String,
    pub team: String,
    pub workflow: String,
    pub groups: Vec<GroupName>,
    pub clearance: Option<String>,
    /// Name and template.
    pub metadata: Vec<(String, String)>,
    pub surfaces: Vec<SurfaceName>,
    pub models: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct CertificateRule {
    pub matches: CertificateMatch,
    pub grants: Grants,
}

/// Patterns; none: any will do.
#[derive(Debug, Clone)]
pub struct CertificateMatch {
    pub dns: Option<String>,
    pub uri: Option<String>,
    pub email: Option<String>,
    pub upn: Option<String>,
    pub common_name: Option<String>,
    pub organization: Option<String>,
    pub organizational_unit: Option<String>,
    pub policy: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Throttle {
    pub free_failures: u32,
    pub first: Duration,
    pub longest: Duration,
    pub exempt: Vec<IpNet>,
}

pub(super) fn convert(wire: wire::Identity, base: &Path) -> Result<Identity, String> {
    let exempt = wire.throttle.exempt.iter().map(|text| formats::network(&text.0));
    Ok(Identity {
        trust_anchors: wire.trust_anchors.map(|path| base.join(path)),
        issuers: wire.issuers.into_iter().map(|one| issuer(one, base)).collect::<Result<_, _>>()?,
        certificates: wire.certificates.into_iter().map(certificate).collect::<Result<_, _>>()?,
        throttle: Throttle {
            free_failures: wire.throttle.free_failures,
            first: wire.throttle.first.get(),
            longest: wire.throttle.longest.get(),
            exempt: exempt.collect::<Result<_, _>>()?,
        },
    })
}

fn issuer(wire: wire::Issuer, base: &Path) -> Result<Issuer, String> {
    let keys = match (wire.jwks_uri, wire.jwks_file) {
        (Some(uri), _) => IssuerKeys::Uri(formats::endpoint(&uri)?),
        (None, Some(file)) => IssuerKeys::File(base.join(file)),
        (None, None) => IssuerKeys::Discovery(formats::discovery(&wire.issuer)?),
    };
    let claims = wire.claims;
    let grants = Grants {
        subject: claims.subject,
        project: claims.project,
        team: claims.team,
        workflow: claims.workflow,
        groups: Vec::new(),
        clearance: claims.clearance,
        metadata: metadata(claims.metadata),
        surfaces: wire.surfaces,
        models: wire.models.into_iter().map(|pattern| pattern.0).collect(),
    };
    Ok(Issuer {
        issuer: wire.issuer,
        audiences: wire.audience,
        keys,
        algorithms: wire.algorithms,
        token_types: wire.token_types,
        leeway: wire.leeway.get(),
        max_age: wire.max_age.map(|age| age.get()),
        require: wire.require,
        single_use: wire.single_use,
        refresh: wire.refresh.get(),
        grants,
        groups_claim: claims.groups,
    })
}

fn certificate(wire: wire::CertificateRule) -> Result<CertificateRule, String> {
    let wire::CertificateMatch {
        dns,
        uri,
        email,
        upn,
        common_name,
        organization,
        organizational_unit,
        policy,
    } = wire.matches;
    let groups = wire.groups.iter().map(|group| group.0.parse::<GroupName>().map_err(|e| e.to_string()));
    Ok(CertificateRule {
        matches: CertificateMatch {
            dns,
            uri,
            email,
            upn,
            common_name,
            organization,
            organizational_unit,
            policy,
        },
        grants: Grants {
            subject: wire.subject,
            project: wire.project,
            team: wire.team,
            workflow: wire.workflow,
            groups: groups.collect::<Result<_, _>>()?,
            clearance: wire.clearance,
            metadata: metadata(wire.metadata),
            surfaces: wire.surfaces,
            models: wire.models.into_iter().map(|pattern| pattern.0).collect(),
        },
    })
}

fn metadata(wire: Vec<wire::Metadata>) -> Vec<(String, String)> {
    wire.into_iter().map(|one| (one.name, one.value)).collect()
}
