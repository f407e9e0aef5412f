//! From the configuration's words to what tells who asks.

use super::Parts;
use super::error::ServeError;
use crate::cli::enclave::Enclave;
use hermetic_bounded_io::read_named;
use hermetic_clock::Clock;
use hermetic_config::{ClientCertificates, CrlOverdue, TokenAlgorithm};
use hermetic_diagnostics::Report;
use hermetic_gateway::{ClientAuthentication, OverdueLists, Tls, TlsFiles, TlsLimits};
use hermetic_identity::{
    Algorithm, CertificateRule, CertificateRules, Condition, Field, GrantRules, Identity, IssuerSettings,
    Issuers, IssuersParts, KeySource, Keys, Scopes, ThrottleOptions, issuer_tls,
};
use hermetic_inference_api::Surface;
use std::str::FromStr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A key table older than this is not trusted: a revocation might have been missed.
const KEYS_STALE_AFTER: Duration = Duration::from_secs(5);

/// The authorities of an enclave are a handful of certificates.
const ANCHORS_BYTES_MAX: u64 = 1 << 20;

/// How often it is asked whether issuers' keys are due.
const ISSUERS_EVERY: Duration = Duration::from_secs(1);

/// Keys, issuers, certificate rules; and the issuers once more for whoever follows them.
pub(super) fn open(enclave: &Enclave, parts: &Parts) -> Result<(Identity, Option<Issuers>), Report> {
    let settings = &enclave.config.identity;
    let keys = Keys::open(enclave.metadata()?, parts.clock.clone(), KEYS_STALE_AFTER)?;
    let issuers = if settings.issuers.is_empty() { None } else { Some(issuers(enclave, parts)?) };
    let rules = settings.certificates.iter().map(rule).collect::<Result<_, _>>()?;
    let throttle = ThrottleOptions {
        free: settings.throttle.free_failures,
        first: settings.throttle.first,
        longest: settings.throttle.longest,
        exempt: settings.throttle.exempt.clone(),
        ..ThrottleOptions::default()
    };
    let identity = Identity::new(keys, issuers.clone(), CertificateRules::new(rules), throttle);
    Ok((identity, issuers))
}

/// Keeps the keys of issuers fresh until the service ends.
pub(super) async fn follow_issuers(issuers: Issuers, ending: CancellationToken) {
    let mut ticks = tokio::time::interval(ISSUERS_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = ending.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = ending.cancelled() => return,
            () = issuers.look() => {}
        }
    }
}

/// TLS on the listener, where it is configured.
pub(super) fn tls(enclave: &Enclave, clock: &Clock) -> Result<Option<Tls>, Report> {
    let Some(settings) = &enclave.config.gateway.tls else { return Ok(None) };
    let clients = match (settings.client_certificates, &settings.client_ca) {
        (ClientCertificates::Off, _) | (_, None) => ClientAuthentication::Off,
        (asked, Some(authorities)) => ClientAuthentication::On {
            authorities: authorities.clone(),
            required: asked == ClientCertificates::Required,
            lists: settings.crl.clone(),
            overdue: match settings.crl_overdue {
                CrlOverdue::Refuse => OverdueLists::Refuse,
                CrlOverdue::Accept => OverdueLists::Accept,
            },
        },
    };
    let files = TlsFiles { certificate: settings.certificate.clone(), key: settings.key.clone(), clients };
    let limits = TlsLimits {
        handshake_timeout: settings.handshake_timeout,
        handshakes_max: usize::try_from(settings.handshakes).unwrap_or(usize::MAX),
    };
    Ok(Some(Tls::open(files, limits, clock.clone())?))
}

fn issuers(enclave: &Enclave, parts: &Parts) -> Result<Issuers, Report> {
    let settings = &enclave.config.identity;
    let tls = match &settings.trust_anchors {
        Some(path) => {
            let pem = read_named(path, ANCHORS_BYTES_MAX)
                .map_err(|source| ServeError::Anchors { path: path.clone(), source })?;
            Some(issuer_tls(&pem)?)
        }
        None => None,
    };
    Ok(Issuers::open(IssuersParts {
        settings: settings.issuers.iter().map(issuer).collect::<Result<_, _>>()?,
        connector: parts.connector.clone(),
        tls,
        clock: parts.clock.clone(),
        metadata: enclave.metadata()?,
        folder: enclave.paths.identity(),
    })?)
}

fn issuer(settings: &hermetic_config::Issuer) -> Result<IssuerSettings, ServeError> {
    Ok(IssuerSettings {
        issuer: settings.issuer.clone(),
        audiences: settings.audiences.clone(),
        keys: match &settings.keys {
            hermetic_config::IssuerKeys::Discovery(url) => KeySource::Discovery(url.clone()),
            hermetic_config::IssuerKeys::Uri(url) => KeySource::Uri(url.clone()),
            hermetic_config::IssuerKeys::File(path) => KeySource::File(path.clone()),
        },
        algorithms: settings.algorithms.iter().copied().map(algorithm).collect(),
        types: settings.token_types.clone(),
        leeway: settings.leeway,
        max_age: settings.max_age,
        require: settings.require.clone(),
        single_use: settings.single_use,
        refresh: settings.refresh,
        grants: grants(&settings.grants, settings.groups_claim.clone())?,
    })
}

fn algorithm(configured: TokenAlgorithm) -> Algorithm {
    match configured {
        TokenAlgorithm::Rs256 => Algorithm::Rs256,
        TokenAlgorithm::Rs384 => Algorithm::Rs384,
        TokenAlgorithm::Rs512 => Algorithm::Rs512,
        TokenAlgorithm::Ps256 => Algorithm::Ps256,
        TokenAlgorithm::Ps384 => Algorithm::Ps384,
        TokenAlgorithm::Ps512 => Algorithm::Ps512,
        TokenAlgorithm::Es256 => Algorithm::Es256,
        TokenAlgorithm::Es384 => Algorithm::Es384,
        TokenAlgorithm::EdDsa => Algorithm::EdDsa,
    }
}

fn rule(settings: &hermetic_config::CertificateRule) -> Result<CertificateRule, ServeError> {
    let wanted = &settings.matches;
    let fields = [
        (Field::Dns, &wanted.dns),
        (Field::Uri, &wanted.uri),
        (Field::Email, &wanted.email),
        (Field::Upn, &wanted.upn),
        (Field::CommonName, &wanted.common_name),
        (Field::Organization, &wanted.organization),
        (Field::OrganizationalUnit, &wanted.organizational_unit),
        (Field::Policy, &wanted.policy),
    ];
    let mut conditions = Vec::new();
    for (field, pattern) in fields {
        if let Some(pattern) = pattern {
            conditions.push(Condition { field, pattern: read(pattern)? });
        }
    }
    Ok(CertificateRule { conditions, grants: grants(&settings.grants, None)? })
}

fn grants(
    settings: &hermetic_config::Grants,
    groups_claim: Option<String>,
) -> Result<GrantRules, ServeError> {
    let mut metadata = Vec::new();
    for (name, value) in &settings.metadata {
        metadata.push((read(name)?, read(value)?));
    }
    let surfaces = settings.surfaces.iter().map(|surface| match surface {
        hermetic_config::SurfaceName::ChatCompletions => Surface::ChatCompletions,
        hermetic_config::SurfaceName::Completions => Surface::Completions,
        hermetic_config::SurfaceName::Embeddings => Surface::Embeddings,
        hermetic_config::SurfaceName::Messages => Surface::Messages,
        hermetic_config::SurfaceName::Responses => Surface::Responses,
        hermetic_config::SurfaceName::Rerank => Surface::Rerank,
        hermetic_config::SurfaceName::Transcriptions => Surface::Transcriptions,
        hermetic_config::SurfaceName::Translations => Surface::Translations,
        hermetic_config::SurfaceName::ImageGenerations => Surface::ImageGenerations,
        hermetic_config::SurfaceName::ImageEdits => Surface::ImageEdits,
    });
    Ok(GrantRules {
        subject: read(&settings.subject)?,
        project: read(&settings.project)?,
        team: read(&settings.team)?,
        workflow: read(&settings.workflow)?,
        groups: settings.groups.clone(),
        groups_claim,
        clearance: settings.clearance.as_deref().map(read).transpose()?,
        metadata,
        scopes: Scopes {
            surfaces: surfaces.collect(),
            models: settings.models.iter().map(|pattern| read(pattern)).collect::<Result<_, _>>()?,
        },
    })
}

/// A text of the configuration as what reads it. The configuration has checked its form; what does not read all the
/// same is reported, not assumed away.
fn read<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, ServeError> {
    text.parse()
        .map_err(|error: T::Err| ServeError::Identity { found: text.to_owned(), reason: error.to_string() })
}
