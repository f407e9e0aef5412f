//! Tokens of a real issuer at a real gateway: what lets in, and what does not, each on record.

use crate::client::{Answer, CHAT, chat};
use crate::issuer::{Issuer, is_installed};
use crate::site::Site;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hermetic_clock::Clock;
use hermetic_connector::{AllowList, Connector};
use hermetic_identity::{
    ASK_AGAIN_AFTER, Algorithm, CertificateRules, Credential, GrantRules, Identity, IssuerSettings, Issuers,
    IssuersParts, KeySource, Scopes, ThrottleOptions,
};
use hermetic_ledger::record::Event;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

const AUDIENCE: &str = "urn:hermetic";

fn settings(issuer: &str) -> IssuerSettings {
    IssuerSettings {
        issuer: issuer.to_owned(),
        audiences: vec![AUDIENCE.to_owned()],
        keys: KeySource::Discovery(format!("{issuer}/.well-known/openid-configuration").parse().unwrap()),
        algorithms: vec![Algorithm::Rs256, Algorithm::Es256],
        types: vec!["at+jwt".to_owned()],
        // The gateway's clock stands still where a test does not move it; the issuer's is the machine's.
        leeway: Duration::from_secs(60),
        max_age: None,
        require: vec!["jti".to_owned()],
        single_use: false,
        refresh: Duration::from_secs(3600),
        grants: GrantRules {
            subject: "svc-{sub}".parse().unwrap(),
            project: "demo".parse().unwrap(),
            team: "{team|unassigned}".parse().unwrap(),
            workflow: "{client_id}".parse().unwrap(),
            groups: Vec::new(),
            groups_claim: Some("groups".to_owned()),
            clearance: Some("{clearance}".parse().unwrap()),
            metadata: Vec::new(),
            scopes: Scopes::default(),
        },
    }
}

/// A gateway that accepts the issuer's tokens, and the clock it judges them by, which begins at the real time. Key
/// sets are kept in `copies`, the site's own folder without one.
async fn site_for(settings: IssuerSettings, copies: Option<PathBuf>) -> (Site, Clock) {
    let clock = Clock::manual(Clock::system().unix_millis());
    let judging = clock.clone();
    let site = Site::start_adjusted(move |parts, metadata, folder| {
        let issuers = Issuers::open(IssuersParts {
            settings: vec![settings],
            connector: Connector::new(AllowList::loopback()),
            tls: None,
            clock: judging,
            metadata: metadata.clone(),
            folder: copies.unwrap_or_else(|| folder.to_owned()),
        });
        let throttle = ThrottleOptions { free: 1_000, ..ThrottleOptions::default() };
        let keys = parts.identity.keys().clone();
        parts.identity = Identity::new(keys, Some(issuers.unwrap()), CertificateRules::default(), throttle);
    })
    .await;
    (site, clock)
}

async fn ask(site: &mut Site, token: &str) -> Answer {
    let mut client = site.client_with(token).await;
    client.get("/v1/models").await
}

async fn code(site: &mut Site, token: &str) -> String {
    let answer = ask(site, token).await;
    if answer.status == 200 { "in".to_owned() } else { answer.code() }
}

fn parts(token: &str) -> [&str; 3] {
    let mut parts = token.split('.');
    [parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap()]
}

fn text(value: &serde_json::Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[tokio::test]
async fn a_token_of_a_real_issuer_lets_in_and_its_holder_stands_in_the_record() {
    if !is_installed() {
        return;
    }
    let issuer = Issuer::start(0);
    let (mut site, _) = site_for(settings(&issuer.name), None).await;
    for client in ["triage", "triage-es"] {
        let token = issuer.token(client, AUDIENCE).await;
        let mut caller = site.client_with(&token).await;
        // Twice: the second time it is remembered.
        for _ in 0..2 {
            assert_eq!(caller.get("/v1/models").await.status, 200);
            let (answer, ()) = tokio::join!(caller.post(CHAT, chat("chat-model", false)), async {
                site.engine.next().await.answer(200, "application/json", r#"{"choices":[]}"#);
            });
            assert_eq!(answer.status, 200);
        }
    }
    let records = site.records_after_drain().await;
    let Some(Event::RequestAdmitted(admitted)) = records.first() else { panic!("{records:?}") };
    let owner = &admitted.owner;
    assert_eq!(
        (owner.subject.as_str(), owner.team.as_str(), owner.workflow.as_str()),
        ("svc-triage", "unassigned", "triage")
    );
    let Credential::Token { issuer: named, subject, id } = &admitted.credential else {
        panic!("{admitted:?}")
    };
    assert_eq!((named, subject.as_str(), id.is_some()), (&issuer.name, "triage", true));
}

#[tokio::test]
async fn tokens_that_are_expired_for_others_unsigned_forged_or_confused_are_refused_and_on_record() {
    if !is_installed() {
        return;
    }
    let issuer = Issuer::start(0);
    let (mut site, clock) = site_for(settings(&issuer.name), None).await;
    let good = issuer.token("triage", AUDIENCE).await;
    let [_, claims, signature] = parts(&good);
    let keys = issuer.ask("GET /jwks HTTP/1.1\r\n", "").await;
    let rsa = keys["keys"].as_array().unwrap().iter().find(|key| key["kty"] == "RSA").unwrap().clone();
    // The public key as the secret of an HMAC: what lets in where the header chooses the algorithm.
    let head = text(&json!({"alg": "HS256", "typ": "at+jwt", "kid": rsa["kid"]}));
    let secret =
        aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, rsa["n"].as_str().unwrap().as_bytes());
    let tag = aws_lc_rs::hmac::sign(&secret, format!("{head}.{claims}").as_bytes());
    let confused = format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode(tag));
    let unsigned = format!("{}.{claims}.", text(&json!({"alg": "none", "typ": "at+jwt"})));
    let mut forged_claims: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    forged_claims["clearance"] = json!("secret");
    let forged = format!("{}.{}.{signature}", parts(&good)[0], text(&forged_claims));
    // An EC signature under the name of the RSA key.
    let ec = issuer.token("triage-es", AUDIENCE).await;
    let crossed_head = text(&json!({"alg": "ES256", "typ": "at+jwt", "kid": rsa["kid"]}));
    let crossed = format!("{crossed_head}.{}.{}", parts(&ec)[1], parts(&ec)[2]);
    let elsewhere = issuer.token("triage", "urn:elsewhere").await;
    assert_eq!(code(&mut site, &good).await, "in");
    for (token, expected) in [
        (&elsewhere, "E0968"),
        (&unsigned, "E0962"),
        (&confused, "E0962"),
        (&crossed, "E0962"),
        (&forged, "E0965"),
    ] {
        let answer = ask(&mut site, token).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, expected));
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!said.contains(parts(token)[1]), "no token in an answer");
    }
    clock.advance(Duration::from_secs(361));
    assert_eq!(code(&mut site, &good).await, "E0966");
    let refused = site.refused_identities().await;
    for expected in ["E0962", "E0965", "E0966", "E0968"] {
        assert!(refused.iter().any(|one| one.code == expected), "{expected} is on record");
    }
    let known = |code: &str| refused.iter().find(|one| one.code == code).unwrap().credential.is_some();
    assert!(known("E0968") && known("E0966"), "genuine ones are named");
    assert!(!known("E0962") && !known("E0965"), "what is not genuine names nobody");
}

#[tokio::test]
async fn keys_that_were_changed_are_followed_and_kept_for_when_the_issuer_is_away() {
    if !is_installed() {
        return;
    }
    let copies = tempfile::tempdir().unwrap();
    let first = Issuer::start(0);
    let (name, port) = (first.name.clone(), first.port());
    let (mut site, clock) = site_for(settings(&name), Some(copies.path().to_owned())).await;
    let old = first.token("triage", AUDIENCE).await;
    assert_eq!(code(&mut site, &old).await, "in");
    drop(first);
    assert_eq!(code(&mut site, &old).await, "in", "the issuer is away");
    let second = Issuer::start(port);
    let new = second.token("triage", AUDIENCE).await;
    // The very first request has asked for keys already.
    clock.advance(ASK_AGAIN_AFTER);
    assert_eq!(code(&mut site, &new).await, "in", "an unknown key asks the issuer");
    assert_eq!(code(&mut site, &old).await, "E0964", "the old key was withdrawn");
    drop(second);
    let (mut restarted, _) = site_for(settings(&name), Some(copies.path().to_owned())).await;
    assert_eq!(code(&mut restarted, &new).await, "in", "from the copy on disk, without the issuer");
    let (mut elsewhere, _) = site_for(settings(&name), None).await;
    let answer = ask(&mut elsewhere, &new).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "E0973"), "without a copy nobody can say");
}

#[tokio::test]
async fn a_token_that_is_replayed_is_refused_and_a_revoked_one_within_a_look_at_the_database() {
    if !is_installed() {
        return;
    }
    let issuer = Issuer::start(0);
    let (mut site, clock) =
        site_for(IssuerSettings { single_use: true, leeway: Duration::ZERO, ..settings(&issuer.name) }, None)
            .await;
    // Issued in the second of the start, it may have been used before it, as far as anybody can tell.
    let token = loop {
        clock.advance(Duration::from_millis(50));
        let token = issuer.token("triage", AUDIENCE).await;
        match code(&mut site, &token).await.as_str() {
            "in" => break token,
            other => assert!(["E0972", "E0967"].contains(&other), "{other}"),
        }
    };
    assert_eq!(code(&mut site, &token).await, "E0972");
    let (mut site, _) = site_for(settings(&issuer.name), None).await;
    let token = issuer.token("triage", AUDIENCE).await;
    assert_eq!(code(&mut site, &token).await, "in");
    let revoked = hermetic_metadata::RevokedTokenRow {
        issuer: issuer.name.clone(),
        token: hermetic_metadata::RevokedToken::Subject("triage".to_owned()),
        revoked_unix_ms: 1,
        revoked_by: "mara".to_owned(),
    };
    site.metadata.revoke_token(&revoked).unwrap();
    while code(&mut site, &token).await != "E0971" {}
    let refused = site.refused_identities().await;
    assert!(refused.iter().any(|one| one.code == "E0971" && one.credential.is_some()));
}
