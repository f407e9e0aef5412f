//! `identity`: whose tokens and certificates count, and whom they stand for.

use crate::units::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Identity {
    /// PEM file with the authorities whose certificates count when an issuer is spoken with over `https`. None are
    /// built in. Without one, issuers behind `https` cannot be reached. A relative path is relative to the folder of
    /// this file.
    #[schemars(extend("format" = "path", "examples" = ["enclave-ca.pem"]))]
    pub(crate) trust_anchors: Option<String>,
    /// Issuers whose tokens are accepted beside API keys.
    pub(crate) issuers: Vec<Issuer>,
    /// Which client certificates stand for whom (see `gateway.tls.client_certificates`). The first rule that matches
    /// decides.
    pub(crate) certificates: Vec<CertificateRule>,
    /// How whoever presents wrong credentials is slowed down.
    pub(crate) throttle: Throttle,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Issuer {
    /// The issuer, exactly as tokens name it in `iss`. Its keys are found through its discovery document
    /// (`/.well-known/openid-configuration` below it), unless `jwks_uri` or `jwks_file` says otherwise.
    #[schemars(extend("format" = "issuer", "examples" = ["https://idp.corp.example"]))]
    pub(crate) issuer: String,
    /// Names of this service, of which a token must carry one in `aud`.
    #[schemars(extend("examples" = [["hermetic"]]))]
    pub(crate) audience: Vec<String>,
    /// Where the issuer's keys are. Without it: where the discovery document says. Contradicts `jwks_file`.
    #[serde(default)]
    #[schemars(extend("format" = "endpoint", "examples" = ["https://idp.corp.example/jwks"]))]
    pub(crate) jwks_uri: Option<String>,
    /// A file that holds the issuer's keys, looked at every second. Contradicts `jwks_uri`. Without it they are
    /// fetched. A relative path is relative to the folder of this file.
    #[serde(default)]
    #[schemars(extend("format" = "path", "examples" = ["idp-keys.json"]))]
    pub(crate) jwks_file: Option<String>,
    /// Signature algorithms that are accepted.
    #[serde(default = "default_algorithms")]
    pub(crate) algorithms: Vec<TokenAlgorithm>,
    /// Accepted `typ` headers, without `application/`. A token without one counts as `JWT`. An ID token is for the
    /// application somebody signed in to, not for this service: issuers that mark access tokens let you leave `JWT`
    /// out.
    #[serde(default = "default_types")]
    pub(crate) token_types: Vec<String>,
    /// How claims become the names that records, limits and policies go by.
    pub(crate) claims: Claims,
    /// How far the issuer's clock may be from this machine's.
    #[serde(default = "default_leeway")]
    pub(crate) leeway: HumanDuration,
    /// Longest time since a token was issued, whatever its own expiry says. Without it, that alone counts.
    #[serde(default)]
    #[schemars(extend("examples" = ["12h"]))]
    pub(crate) max_age: Option<HumanDuration>,
    /// Claims that must be in a token, beside `iss`, `sub`, `aud` and `exp`, which always must.
    #[serde(default)]
    #[schemars(extend("examples" = [["jti"]]))]
    pub(crate) require: Vec<String>,
    /// Whether a token lets in one request only. Such tokens need `jti` and `iat`; used ones are remembered until they
    /// expire, by this process alone.
    #[serde(default)]
    pub(crate) single_use: bool,
    /// How often the keys are fetched again. A token that names an unknown key asks for them as well, at most every ten
    /// seconds.
    #[serde(default = "default_refresh")]
    pub(crate) refresh: HumanDuration,
    /// API surfaces this issuer's tokens are limited to; none: any that policy permits.
    #[serde(default)]
    #[schemars(extend("examples" = [["chat.completions"]]))]
    pub(crate) surfaces: Vec<SurfaceName>,
    /// Models this issuer's tokens are limited to, a trailing `*` standing for any rest; none: any that policy permits.
    #[serde(default)]
    #[schemars(extend("examples" = [["llama-*"]]))]
    pub(crate) models: Vec<ModelPatternText>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    /// Who asks. `{name}` stands for a claim, by its name or the way to it (`{realm_access.unit}`); `{name|text}` for
    /// the claim, or the text when there is none.
    #[serde(default = "default_subject")]
    #[schemars(extend("format" = "template", "examples" = ["{preferred_username}"]))]
    pub(crate) subject: String,
    /// The project; a template like `subject`.
    #[schemars(extend("format" = "template", "examples" = ["{department}"]))]
    pub(crate) project: String,
    /// The team; a template like `subject`.
    #[schemars(extend("format" = "template", "examples" = ["{team|unassigned}"]))]
    pub(crate) team: String,
    /// The workflow; a template like `subject`.
    #[schemars(extend("format" = "template", "examples" = ["{client_id}"]))]
    pub(crate) workflow: String,
    /// The claim that lists groups, as a list of texts or one text. Without it, tokens bring no groups.
    #[serde(default)]
    #[schemars(extend("examples" = ["groups"]))]
    pub(crate) groups: Option<String>,
    /// The clearance; a template like `subject`. Without it, or when the claim is missing, there is none.
    #[serde(default)]
    #[schemars(extend("format" = "template", "examples" = ["{clearance}"]))]
    pub(crate) clearance: Option<String>,
    /// Whatever else limits and reports shall go by.
    #[serde(default)]
    pub(crate) metadata: Vec<Metadata>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    /// Its name.
    #[schemars(extend("format" = "metadata-name", "examples" = ["cost-centre"]))]
    pub(crate) name: String,
    /// Its value, as a template. A piece whose claim is missing is left out.
    #[schemars(extend("format" = "template", "examples" = ["{cost_centre}"]))]
    pub(crate) value: String,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateRule {
    /// What must be in a certificate; all that is named here must. In each text one `*` stands for any text.
    #[serde(rename = "match")]
    pub(crate) matches: CertificateMatch,
    /// Who asks; a template in which `{cn}`, `{o}`, `{ou}`, `{dns}`, `{uri}`, `{email}`, `{upn}`, `{serial}` and
    /// `{fingerprint}` stand for parts of the certificate and `{*}` for what the star of `match` stood for.
    #[schemars(extend("format" = "template", "examples" = ["{upn}"]))]
    pub(crate) subject: String,
    /// The project; a template like `subject`.
    #[schemars(extend("format" = "template", "examples" = ["claims"]))]
    pub(crate) project: String,
    /// The team; a template like `subject`.
    #[schemars(extend("format" = "template", "examples" = ["{ou}"]))]
    pub(crate) team: String,
    /// The workflow; a template like `subject`.
    #[schemars(extend("format" = "template", "examples" = ["letter-triage"]))]
    pub(crate) workflow: String,
    /// Groups whoever holds such a certificate is in.
    #[serde(default)]
    #[schemars(extend("examples" = [["analysts"]]))]
    pub(crate) groups: Vec<GroupText>,
    /// The clearance; a template like `subject`. Without it there is none.
    #[serde(default)]
    #[schemars(extend("format" = "template", "examples" = ["secret"]))]
    pub(crate) clearance: Option<String>,
    /// Whatever else limits and reports shall go by.
    #[serde(default)]
    pub(crate) metadata: Vec<Metadata>,
    /// API surfaces such certificates are limited to; none: any that policy permits.
    #[serde(default)]
    #[schemars(extend("examples" = [["embeddings"]]))]
    pub(crate) surfaces: Vec<SurfaceName>,
    /// Models such certificates are limited to, a trailing `*` standing for any rest; none: any that policy permits.
    #[serde(default)]
    #[schemars(extend("examples" = [["llama-*"]]))]
    pub(crate) models: Vec<ModelPatternText>,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CertificateMatch {
    /// A DNS name of the subject alternative name, in lower case. Without it any will do.
    #[schemars(extend("format" = "pattern", "examples" = ["*.claims.corp.example"]))]
    pub(crate) dns: Option<String>,
    /// A URI of the subject alternative name, such as a SPIFFE id. Without it any will do.
    #[schemars(extend("format" = "pattern", "examples" = ["spiffe://corp.example/sa/*"]))]
    pub(crate) uri: Option<String>,
    /// An e-mail address of the subject alternative name, in lower case. Without it any will do.
    #[schemars(extend("format" = "pattern", "examples" = ["*@corp.example"]))]
    pub(crate) email: Option<String>,
    /// The user principal name that smart cards carry. Without it any will do.
    #[schemars(extend("format" = "pattern", "examples" = ["*@corp.example"]))]
    pub(crate) upn: Option<String>,
    /// The common name of the subject. Without it any will do.
    #[schemars(extend("format" = "pattern", "examples" = ["svc-*"]))]
    pub(crate) common_name: Option<String>,
    /// An organisation of the subject. Without it any will do.
    #[schemars(extend("format" = "pattern", "examples" = ["Corp"]))]
    pub(crate) organization: Option<String>,
    /// An organisational unit of the subject. Without it any will do.
    #[schemars(extend("format" = "pattern", "examples" = ["Claims"]))]
    pub(crate) organizational_unit: Option<String>,
    /// The OID of a certificate policy, such as that of hardware-held keys. Without it any will do.
    #[schemars(extend("format" = "oid", "examples" = ["2.16.840.1.101.3.2.1.3.13"]))]
    pub(crate) policy: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "model-pattern"))]
pub(crate) struct ModelPatternText(pub(crate) String);

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "group-name"))]
pub(crate) struct GroupText(pub(crate) String);

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Throttle {
    /// Failed attempts of one address (of one /64 for IPv6) that cost it nothing. 20: an application that starts with
    /// an old key retries a few times, on a few connections.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) free_failures: u32,
    /// How long the first failure after those shuts the address out; each further one twice as long.
    pub(crate) first: HumanDuration,
    /// The longest a failure shuts out.
    pub(crate) longest: HumanDuration,
    /// Networks that are never shut out, such as that of a proxy behind which all callers have one address.
    #[schemars(extend("examples" = [["10.20.1.0/24"]]))]
    pub(crate) exempt: Vec<NetworkText>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            free_failures: 20,
            first: HumanDuration::from_millis(1_000),
            longest: HumanDuration::from_millis(300_000),
            exempt: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "network"))]
pub(crate) struct NetworkText(pub(crate) String);

/// An API surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SurfaceName {
    #[serde(rename = "chat.completions")]
    ChatCompletions,
    #[serde(rename = "completions")]
    Completions,
    #[serde(rename = "embeddings")]
    Embeddings,
    #[serde(rename = "messages")]
    Messages,
    #[serde(rename = "responses")]
    Responses,
    #[serde(rename = "rerank")]
    Rerank,
    #[serde(rename = "audio.transcriptions")]
    Transcriptions,
    #[serde(rename = "audio.translations")]
    Translations,
    #[serde(rename = "images.generations")]
    ImageGenerations,
    #[serde(rename = "images.edits")]
    ImageEdits,
}

impl SurfaceName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat.completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::Responses => "responses",
            Self::Rerank => "rerank",
            Self::Transcriptions => "audio.transcriptions",
            Self::Translations => "audio.translations",
            Self::ImageGenerations => "images.generations",
            Self::ImageEdits => "images.edits",
        }
    }
}

/// A signature algorithm of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum TokenAlgorithm {
    #[serde(rename = "RS256")]
    Rs256,
    #[serde(rename = "RS384")]
    Rs384,
    #[serde(rename = "RS512")]
    Rs512,
    #[serde(rename = "PS256")]
    Ps256,
    #[serde(rename = "PS384")]
    Ps384,
    #[serde(rename = "PS512")]
    Ps512,
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "ES384")]
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

fn default_algorithms() -> Vec<TokenAlgorithm> {
    vec![TokenAlgorithm::Rs256, TokenAlgorithm::Ps256, TokenAlgorithm::Es256, TokenAlgorithm::EdDsa]
}

fn default_types() -> Vec<String> {
    vec!["at+jwt".to_owned(), "JWT".to_owned()]
}

fn default_subject() -> String {
    "{sub}".to_owned()
}

fn default_leeway() -> HumanDuration {
    HumanDuration::from_millis(30_000)
}

fn default_refresh() -> HumanDuration {
    HumanDuration::from_millis(3_600_000)
}
