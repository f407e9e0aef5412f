//! Tokens that must not pass, one way of cheating each, against an issuer whose keys are in a file.

use super::*;
use crate::grants::GrantRules;
use crate::scopes::Scopes;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_diagnostics::Diagnose;
use hermetic_metadata::{Metadata, RevokedToken, RevokedTokenRow};
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::Duration;

const ISSUER: &str = "https://idp.corp.example";
const NOW: u64 = 1_795_000_000;

static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
static EC: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());
static ED: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::generate().unwrap());

fn text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa_parts() -> (Vec<u8>, Vec<u8>) {
    let key = RSA.public_key();
    (
        key.modulus().big_endian_without_leading_zero().to_vec(),
        key.exponent().big_endian_without_leading_zero().to_vec(),
    )
}

fn rsa_key(kid: &str) -> Value {
    let (n, e) = rsa_parts();
    json!({"kty": "RSA", "kid": kid, "use": "sig", "n": text(&n), "e": text(&e)})
}

fn ec_key(kid: &str) -> Value {
    let point = EC.public_key().as_ref();
    json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": text(&point[1..33]), "y": text(&point[33..])})
}

fn ed_key(kid: &str) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": "EdDSA", "x": text(ED.public_key().as_ref())})
}

fn sign(header: &Value, claims: &Value) -> String {
    sign_texts(&header.to_string(), &claims.to_string())
}

/// Signs as the header's algorithm says.
fn sign_texts(header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", text(header.as_bytes()), text(claims.as_bytes()));
    let algorithm = serde_json::from_str::<Value>(header).unwrap_or_default()["alg"].clone();
    let rsa = |encoding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; RSA.public_modulus_len()];
        RSA.sign(encoding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        signature
    };
    let signature = match algorithm.as_str() {
        Some("PS256") => rsa(&RSA_PSS_SHA256),
        Some("ES256") => EC.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec(),
        Some("EdDSA") => ED.sign(signed.as_bytes()).as_ref().to_vec(),
        _ => rsa(&RSA_PKCS1_SHA256),
    };
    format!("{signed}.{}", text(&signature))
}

fn header() -> Value {
    json!({"alg": "RS256", "kid": "r", "typ": "at+jwt"})
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": ["hermetic", "other"], "sub": "auth0|7", "exp": NOW + 600, "iat": NOW, "jti": "j1",
        "preferred_username": "alice", "dept": "claims", "groups": ["/analysts", "CN=Staff,OU=Groups"],
        "realm": {"clearance": "secret"},
    })
}

fn changed(mut value: Value, name: &str, to: Value) -> Value {
    value[name] = to;
    value
}

struct Site {
    folder: tempfile::TempDir,
    clock: Clock,
    issuers: Issuers,
    metadata: Metadata,
}

fn settings(folder: &std::path::Path) -> IssuerSettings {
    IssuerSettings {
        issuer: ISSUER.to_owned(),
        audiences: vec!["hermetic".to_owned()],
        keys: KeySource::File(folder.join("keys.json")),
        algorithms: vec![Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa],
        types: vec!["at+jwt".to_owned()],
        leeway: Duration::from_secs(30),
        max_age: None,
        require: Vec::new(),
        single_use: false,
        refresh: Duration::from_secs(3600),
        grants: GrantRules {
            subject: "{preferred_username}".parse().unwrap(),
            project: "{dept}".parse().unwrap(),
            team: "{team|unassigned}".parse().unwrap(),
            workflow: "chat".parse().unwrap(),
            groups: Vec::new(),
            groups_claim: Some("groups".to_owned()),
            clearance: Some("{realm.clearance}".parse().unwrap()),
            metadata: vec![("unit".parse().unwrap(), "{dept}".parse().unwrap())],
            scopes: Scopes::default(),
        },
    }
}

fn site_with(adjust: impl FnOnce(&mut IssuerSettings)) -> Site {
    let folder = tempfile::tempdir().unwrap();
    write_keys(folder.path(), &[rsa_key("r"), ec_key("e"), ed_key("d")]);
    let clock = Clock::manual(NOW * 1000);
    let metadata = Metadata::open(&folder.path().join("m")).unwrap();
    let mut settings = settings(folder.path());
    adjust(&mut settings);
    let issuers = Issuers::open(IssuersParts {
        settings: vec![settings],
        connector: Connector::new(AllowList::loopback()),
        tls: None,
        clock: clock.clone(),
        metadata: metadata.clone(),
        folder: folder.path().to_owned(),
    })
    .unwrap();
    Site { folder, clock, issuers, metadata }
}

fn site() -> Site {
    site_with(|_| {})
}

fn write_keys(folder: &std::path::Path, keys: &[Value]) {
    std::fs::write(folder.join("keys.json"), json!({"keys": keys}).to_string()).unwrap();
}

impl Site {
    async fn code(&self, token: &str) -> &'static str {
        self.issuers.authenticate(token).await.map_or_else(|error| error.code().as_str(), |_| "in")
    }
}

#[tokio::test]
async fn a_token_says_who_asks_in_which_groups_with_which_clearance() {
    let site = site();
    let who = site.issuers.authenticate(&sign(&header(), &claims())).await.unwrap();
    let owner = who.owner();
    assert_eq!(
        (owner.subject.as_str(), owner.project.as_str(), owner.team.as_str()),
        ("alice", "claims", "unassigned")
    );
    let groups: Vec<&str> = who.groups().iter().map(|group| group.as_str()).collect();
    assert_eq!(
        (groups, who.clearance().unwrap().as_str()),
        (vec!["CN=Staff,OU=Groups", "analysts"], "secret")
    );
    assert_eq!(who.metadata()["unit"].as_str(), "claims");
    let shown = serde_json::to_value(who.credential()).unwrap();
    assert_eq!(shown, json!({"kind": "token", "issuer": ISSUER, "subject": "auth0|7", "id": "j1"}));
}

#[tokio::test]
async fn every_algorithm_that_is_allowed_verifies_with_its_own_key_and_no_other() {
    let site = site();
    for (algorithm, kid) in [("RS256", "r"), ("PS256", "r"), ("ES256", "e"), ("EdDSA", "d")] {
        let token = sign(&json!({"alg": algorithm, "kid": kid, "typ": "at+jwt"}), &claims());
        assert_eq!(site.code(&token).await, "in", "{algorithm}");
        for other in ["r", "e", "d"].into_iter().filter(|other| *other != kid) {
            let token = sign(&json!({"alg": algorithm, "kid": other, "typ": "at+jwt"}), &claims());
            assert_eq!(site.code(&token).await, "E0962", "{algorithm} with {other}");
        }
    }
}

#[tokio::test]
async fn each_way_of_cheating_has_its_code() {
    let site = site();
    let good = sign(&header(), &claims());
    let with_header = |name: &str, to: Value| sign(&changed(header(), name, to), &claims());
    let with_claim = |name: &str, to: Value| sign(&header(), &changed(claims(), name, to));
    let unsigned = |algorithm: &str| {
        let head = text(json!({"alg": algorithm, "typ": "at+jwt"}).to_string().as_bytes());
        format!("{head}.{}.", text(claims().to_string().as_bytes()))
    };
    let mut other_claims = good.clone();
    other_claims.replace_range(.., &{
        let parts: Vec<&str> = good.split('.').collect();
        format!(
            "{}.{}.{}",
            parts[0],
            text(changed(claims(), "dept", json!("board")).to_string().as_bytes()),
            parts[2]
        )
    });
    let (n, e) = rsa_parts();
    let own_key = json!({"kty": "RSA", "n": text(&n), "e": text(&e)});
    let cases = [
        (unsigned("none"), "E0962"),
        (unsigned("None"), "E0962"),
        (unsigned("nOnE"), "E0962"),
        (with_header("alg", json!("RS384")), "E0962"),
        (other_claims, "E0965"),
        (format!("{}AAAA", &good[..good.len() - 4]), "E0965"),
        (format!("{}.", good.rsplit_once('.').unwrap().0), "E0965"),
        (with_header("crit", json!(["exp"])), "E0960"),
        (with_header("typ", json!("JWT")), "E0970"),
        (with_header("typ", json!("logout+jwt")), "E0970"),
        (with_header("kid", json!("unknown")), "E0964"),
        (with_header("kid", json!("../../../../dev/null")), "E0964"),
        (with_header("kid", json!("r' OR '1'='1")), "E0964"),
        (sign(&json!({"alg": "RS256", "typ": "at+jwt", "jwk": own_key, "kid": "mine"}), &claims()), "E0964"),
        (
            sign(
                &json!({"alg": "RS256", "typ": "at+jwt", "jku": "https://evil.example/k", "kid": "x"}),
                &claims(),
            ),
            "E0964",
        ),
        (with_claim("iss", json!("https://idp.corp.example/")), "E0963"),
        (with_claim("aud", json!("other")), "E0968"),
        (with_claim("aud", json!(["hermetic2", "HERMETIC"])), "E0968"),
        (with_claim("aud", Value::Null), "E0969"),
        (with_claim("exp", json!(NOW - 30)), "E0966"),
        (with_claim("exp", json!("9999999999")), "E0969"),
        (with_claim("exp", Value::Null), "E0969"),
        (with_claim("nbf", json!(NOW + 31)), "E0967"),
        (with_claim("iat", json!(NOW + 31)), "E0967"),
        (with_claim("sub", Value::Null), "E0969"),
        (with_claim("preferred_username", json!("a b")), "E0969"),
        (with_claim("dept", Value::Null), "E0969"),
        (with_claim("groups", json!({"a": 1})), "E0969"),
        (
            sign_texts(
                r#"{"alg":"RS256","kid":"r","typ":"at+jwt"}"#,
                r#"{"iss":"https://idp.corp.example","aud":"x","aud":"hermetic"}"#,
            ),
            "E0960",
        ),
        (sign(&header(), &changed(claims(), "pad", json!("x".repeat(9000)))), "E0961"),
    ];
    for (number, (token, code)) in cases.iter().enumerate() {
        assert_eq!(site.code(token).await, *code, "case {number}: {token}");
    }
    assert_eq!(site.code(&good).await, "in");
}

/// HMAC with the public key as secret: what a verifier would accept that lets the header choose.
#[tokio::test]
async fn a_public_key_is_never_a_secret() {
    let site = site();
    let (n, _) = rsa_parts();
    for secret in [n, json!({"keys": [rsa_key("r")]}).to_string().into_bytes()] {
        for algorithm in ["HS256", "hs256"] {
            let head = json!({"alg": algorithm, "kid": "r", "typ": "at+jwt"}).to_string();
            let signed = format!("{}.{}", text(head.as_bytes()), text(claims().to_string().as_bytes()));
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &secret);
            let tag = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
            assert_eq!(site.code(&format!("{signed}.{}", text(tag.as_ref()))).await, "E0962");
        }
    }
}

#[tokio::test]
async fn what_a_refused_token_claims_is_repeated_only_when_its_signature_verified() {
    let site = site();
    let refused = |token: String| {
        let issuers = site.issuers.clone();
        async move { issuers.authenticate(&token).await.unwrap_err().credential }
    };
    assert!(refused(sign(&header(), &changed(claims(), "exp", json!(NOW - 60)))).await.is_some());
    let forged = sign(&header(), &claims()).rsplit_once('.').unwrap().0.to_owned() + ".AAAA";
    assert!(refused(forged).await.is_none());
}

#[tokio::test]
async fn a_token_seen_before_still_expires_is_revoked_and_goes_with_its_key() {
    let site = site();
    let token = sign(&header(), &claims());
    let other = sign(&header(), &changed(claims(), "jti", json!("j2")));
    assert_eq!((site.code(&token).await, site.code(&other).await), ("in", "in"));
    let revoke = |token| {
        let row = RevokedTokenRow {
            issuer: ISSUER.to_owned(),
            token,
            revoked_unix_ms: 1,
            revoked_by: "mara".to_owned(),
        };
        site.metadata.revoke_token(&row).unwrap();
        site.issuers.refresh().unwrap();
    };
    revoke(RevokedToken::Id("j1".to_owned()));
    assert_eq!((site.code(&token).await, site.code(&other).await), ("E0971", "in"));
    revoke(RevokedToken::Subject("auth0|7".to_owned()));
    assert_eq!(site.code(&other).await, "E0971");
    let others = changed(changed(claims(), "sub", json!("8")), "jti", json!("j3"));
    let ec = sign(&json!({"alg": "ES256", "kid": "e", "typ": "at+jwt"}), &others);
    assert_eq!(site.code(&ec).await, "in");
    write_keys(site.folder.path(), &[rsa_key("r")]);
    site.clock.advance(Duration::from_secs(2));
    site.issuers.look().await;
    assert_eq!(site.code(&ec).await, "E0964", "the key was withdrawn");
    let rsa = sign(&header(), &others);
    assert_eq!(site.code(&rsa).await, "in");
    site.clock.advance(Duration::from_secs(629));
    assert_eq!(site.code(&rsa).await, "E0966");
}

#[tokio::test]
async fn an_unknown_key_asks_the_source_again_and_not_for_ever() {
    let site = site();
    let token = |kid: &str| sign(&changed(header(), "kid", json!(kid)), &claims());
    write_keys(site.folder.path(), &[rsa_key("r2")]);
    assert_eq!(site.code(&token("r2")).await, "in", "asked at once");
    write_keys(site.folder.path(), &[rsa_key("r3")]);
    assert_eq!(site.code(&token("r3")).await, "E0964", "asked a moment ago");
    site.clock.advance(ASK_AGAIN_AFTER);
    assert_eq!(site.code(&token("r3")).await, "in");
}

#[tokio::test]
async fn a_key_set_that_cannot_be_used_leaves_the_old_keys_in_force() {
    let site = site();
    let token = sign(&header(), &claims());
    for bad in ["", "{}", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#] {
        std::fs::write(site.folder.path().join("keys.json"), bad).unwrap();
        site.clock.advance(Duration::from_secs(2));
        site.issuers.look().await;
        assert_eq!(site.code(&token).await, "in", "{bad}");
    }
}

#[tokio::test]
async fn a_single_use_token_lets_one_request_in_whoever_asks_at_once() {
    let site = site_with(|settings| settings.single_use = true);
    let token = |id: &str, issued: u64| {
        let claims = changed(changed(claims(), "jti", json!(id)), "iat", json!(issued));
        sign(&header(), &claims)
    };
    assert_eq!(site.code(&token("a", NOW + 30)).await, "E0972", "it may have been used before the start");
    let once = token("b", NOW + 31);
    site.clock.advance(Duration::from_secs(31));
    let (first, second) = tokio::join!(site.code(&once), site.code(&once));
    assert_eq!((first, second), ("in", "E0972"));
    assert_eq!(site.code(&token("c", NOW + 31)).await, "in");
    let without = sign(&header(), &changed(changed(claims(), "jti", Value::Null), "iat", json!(NOW + 31)));
    assert_eq!(site.code(&without).await, "E0969");
}

#[tokio::test]
async fn the_greatest_age_and_required_claims_count_whatever_the_token_says() {
    let site = site_with(|settings| {
        settings.max_age = Some(Duration::from_secs(60));
        settings.require = vec!["azp".to_owned()];
    });
    let token =
        |issued: u64| sign(&header(), &changed(changed(claims(), "iat", json!(issued)), "azp", json!("x")));
    assert_eq!(site.code(&token(NOW)).await, "in");
    assert_eq!(site.code(&token(NOW - 90)).await, "E0966");
    assert_eq!(site.code(&sign(&header(), &claims())).await, "E0969");
}

#[test]
fn weak_and_contradictory_keys_are_not_taken() {
    let read = |key: Value| key_set::KeySet::read(json!({"keys": [key]}).to_string().as_bytes()).is_ok();
    assert!(read(rsa_key("r")) && read(ec_key("e")) && read(ed_key("d")));
    let weak = json!({"kty": "RSA", "n": text(&[0xff; 128]), "e": "AQAB"});
    let padded = json!({"kty": "RSA", "n": text(&[&[0u8; 200][..], &[0xff; 128]].concat()), "e": "AQAB"});
    for bad in [
        weak,
        padded,
        changed(rsa_key("r"), "use", json!("enc")),
        changed(rsa_key("r"), "alg", json!("HS256")),
        changed(ec_key("e"), "alg", json!("RS256")),
        changed(ec_key("e"), "crv", json!("secp256k1")),
        changed(ec_key("e"), "x", json!("AAAA")),
        changed(ed_key("d"), "key_ops", json!(["sign"])),
        changed(rsa_key("r"), "kid", json!("k".repeat(300))),
    ] {
        assert!(!read(bad.clone()), "{bad}");
    }
}

/// A server behind `https` that gives everybody the same document, and the authority that vouches for it.
async fn https_server(document: String) -> (u16, String, tokio::task::JoinSet<()>) {
    use rcgen::{CertificateParams, KeyPair as CertificateKey, SanType};
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
    let key = CertificateKey::generate().unwrap();
    let own = params.self_signed(&key).unwrap();
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], private)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut asked = [0; 4096];
            let read = stream.read(&mut asked).await.unwrap();
            assert!(asked[..read].starts_with(b"GET /jwks HTTP/1.1\r\n"));
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", document.len());
            stream.write_all(format!("{head}{document}").as_bytes()).await.unwrap();
        }
    });
    (port, own.pem(), tasks)
}

#[tokio::test]
async fn keys_come_over_https_from_a_server_that_the_anchors_vouch_for_and_from_no_other() {
    let (port, anchors, _server) = https_server(json!({"keys": [rsa_key("r")]}).to_string()).await;
    let (_, other_anchors, _other) = https_server(String::new()).await;
    let token = sign(&header(), &claims());
    for (anchors, code) in [(Some(anchors), "in"), (Some(other_anchors), "E0973"), (None, "E0973")] {
        let folder = tempfile::tempdir().unwrap();
        let uri = format!("https://127.0.0.1:{port}/jwks").parse().unwrap();
        let issuers = Issuers::open(IssuersParts {
            settings: vec![IssuerSettings { keys: KeySource::Uri(uri), ..settings(folder.path()) }],
            connector: Connector::new(AllowList::loopback()),
            tls: anchors.map(|pem| crate::issuer_tls(pem.as_bytes()).unwrap()),
            clock: Clock::manual(NOW * 1000),
            metadata: Metadata::open(&folder.path().join("m")).unwrap(),
            folder: folder.path().to_owned(),
        });
        let found = issuers.unwrap().authenticate(&token).await;
        assert_eq!(found.map_or_else(|error| error.code().as_str(), |_| "in"), code);
    }
}

#[tokio::test]
async fn an_issuer_outside_the_enclave_is_not_dialled() {
    let folder = tempfile::tempdir().unwrap();
    let connector = Connector::new(AllowList::default());
    let issuers = Issuers::open(IssuersParts {
        settings: vec![IssuerSettings {
            keys: KeySource::Discovery(
                "http://127.0.0.1:9/.well-known/openid-configuration".parse().unwrap(),
            ),
            ..settings(folder.path())
        }],
        connector: connector.clone(),
        tls: None,
        clock: Clock::manual(NOW * 1000),
        metadata: Metadata::open(&folder.path().join("m")).unwrap(),
        folder: folder.path().to_owned(),
    });
    issuers.unwrap().look().await;
    assert_eq!(connector.report().refused(), 1);
}
