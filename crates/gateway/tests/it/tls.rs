//! TLS on the listener and callers known by certificate, with real clients: curl, and one connection that stays open.

use crate::client::connect;
use crate::site::Site;
use bytes::Bytes;
use hermetic_gateway::{ClientAuthentication, OverdueLists, Tls, TlsError, TlsFiles, TlsLimits};
use hermetic_identity::{
    CertificateRule, CertificateRules, Condition, Credential, Field, GrantRules, Identity, Scopes,
    ThrottleOptions,
};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

const HARDWARE_POLICY: &str = "2.16.840.1.101.3.2.1.3.13";
const POLICIES_DER: [u8; 16] =
    [0x30, 0x0e, 0x30, 0x0c, 0x06, 0x0a, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x02, 0x01, 0x03, 0x0d];

/// An authority of certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as files.
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn write(
        &self,
        folder: &Path,
        name: &str,
        serial: u64,
        adjust: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.serial_number = Some(SerialNumber::from(serial));
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        adjust(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pair =
            Pair { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) };
        std::fs::write(&pair.certificate, certificate.pem()).unwrap();
        std::fs::write(&pair.key, key.serialize_pem()).unwrap();
        pair
    }

    /// A list that revokes these serial numbers.
    fn list(&self, serials: &[u64], next_update: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2026, 1, 2),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 2),
            next_update: date_time_ymd(next_update, 1, 1),
            crl_number: SerialNumber::from(serials.len() as u64 + 1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

fn rule(field: Field, pattern: &str, subject: &str) -> CertificateRule {
    CertificateRule {
        conditions: vec![Condition { field, pattern: pattern.parse().unwrap() }],
        grants: GrantRules {
            subject: subject.parse().unwrap(),
            project: "demo".parse().unwrap(),
            team: "eng".parse().unwrap(),
            workflow: "docs".parse().unwrap(),
            groups: Vec::new(),
            groups_claim: None,
            clearance: None,
            metadata: Vec::new(),
            scopes: Scopes::default(),
        },
    }
}

/// A gateway over TLS, the authority of its callers, and a folder of files.
struct Door {
    site: Site,
    authority: Authority,
    files: tempfile::TempDir,
}

impl Door {
    async fn open(required: bool) -> Self {
        Self::open_within(required, TlsLimits::default()).await
    }

    async fn open_within(required: bool, limits: TlsLimits) -> Self {
        let files = tempfile::tempdir().unwrap();
        let authority = Authority::new("clients");
        let folder = files.path().to_owned();
        let server = authority.write(&folder, "gateway", 1, |params| {
            params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())];
        });
        std::fs::write(folder.join("ca.pem"), &authority.pem).unwrap();
        std::fs::write(folder.join("clients.crl"), authority.list(&[], 2040)).unwrap();
        let site = Site::start_adjusted(|parts, _, _| {
            let clients = ClientAuthentication::On {
                authorities: folder.join("ca.pem"),
                required,
                lists: vec![folder.join("clients.crl")],
                overdue: OverdueLists::Refuse,
            };
            let tls_files = TlsFiles { certificate: server.certificate, key: server.key, clients };
            parts.tls = Some(Tls::open(tls_files, limits, parts.clock.clone()).unwrap());
            let rules = vec![
                rule(Field::Policy, HARDWARE_POLICY, "card-holder"),
                rule(Field::CommonName, "svc-*", "{cn}"),
            ];
            let throttle = ThrottleOptions { free: 100_000, ..ThrottleOptions::default() };
            parts.identity =
                Identity::new(parts.identity.keys().clone(), None, CertificateRules::new(rules), throttle);
        })
        .await;
        Self { site, authority, files }
    }

    fn client(&self, name: &str, serial: u64) -> Pair {
        self.authority.write(self.files.path(), name, serial, |_| {})
    }

    /// What curl gets from the list of models: the status and, of an error, the code; `None`: no connection.
    async fn curl(&self, pair: Option<&Pair>, key: Option<&str>) -> Option<(u16, String)> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--cacert"]).arg(self.files.path().join("ca.pem"));
        command.args(["--write-out", "\n%{http_code}"]);
        if let Some(pair) = pair {
            command.arg("--cert").arg(&pair.certificate).arg("--key").arg(&pair.key);
        }
        if let Some(key) = key {
            command.arg("--header").arg(format!("authorization: Bearer {key}"));
        }
        command.arg(format!("https://127.0.0.1:{}/v1/models", self.site.port()));
        let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        let body: serde_json::Value = serde_json::from_str(body).ok()?;
        let code = body["error"]["code"].as_str().unwrap_or_default().to_owned();
        done.status.success().then(|| (status.parse().unwrap(), code))
    }

    /// A connection that stays open.
    async fn stay(&self, pair: &Pair) -> Open {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem.as_bytes()).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_file(&pair.certificate).unwrap()];
        let key = PrivateKeyDer::from_pem_file(&pair.key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        let stream = connect(self.site.port()).await;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let _ = connection.await;
        });
        Open { sender, _tasks: tasks }
    }

    /// What is on record about callers that were not let in: code, and the subject of the certificate.
    async fn refused(mut self) -> Vec<(String, Option<String>)> {
        let subject = |credential| match credential {
            Some(Credential::Certificate { subject, .. }) => Some(subject),
            _ => None,
        };
        let refused = self.site.refused_identities().await;
        refused.into_iter().map(|one| (one.code, subject(one.credential))).collect()
    }
}

struct Open {
    sender: http1::SendRequest<Empty<Bytes>>,
    _tasks: tokio::task::JoinSet<()>,
}

impl Open {
    async fn ask(&mut self) -> (u16, String) {
        self.sender.ready().await.unwrap();
        let request = Request::get("/v1/models").header("host", "gateway").body(Empty::new()).unwrap();
        let response = self.sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn refused(code: &str) -> Option<(u16, String)> {
    Some((401, code.to_owned()))
}

fn let_in() -> Option<(u16, String)> {
    Some((200, String::new()))
}

#[tokio::test]
async fn a_certificate_that_a_rule_maps_lets_in_and_others_do_not() {
    let door = Door::open(true).await;
    let mapped = door.client("svc-triage", 10);
    let unmapped = door.client("nobody", 11);
    let card = door.authority.write(door.files.path(), "DOE.JOHN", 12, |params| {
        let policies = CustomExtension::from_oid_content(&[2, 5, 29, 32], POLICIES_DER.to_vec());
        params.custom_extensions.push(policies);
    });
    assert_eq!(door.curl(Some(&mapped), None).await, let_in());
    assert_eq!(door.curl(Some(&card), None).await, let_in(), "by certificate policy");
    assert_eq!(door.curl(Some(&unmapped), None).await, refused("E0974"));
    let key = door.site.key.clone();
    assert_eq!(door.curl(Some(&unmapped), Some(&key)).await, let_in(), "the key decides where there is one");
    let records = door.refused().await;
    assert_eq!(records, [("E0974".to_owned(), Some("CN=nobody".to_owned()))]);
}

#[tokio::test]
async fn certificates_that_do_not_count_make_no_connection_and_are_on_record() {
    let door = Door::open(true).await;
    let folder = door.files.path().to_owned();
    let expired = door.authority.write(&folder, "svc-old", 20, |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let early =
        door.authority.write(&folder, "svc-new", 21, |params| params.not_before = date_time_ymd(2035, 1, 1));
    let server_only = door.authority.write(&folder, "svc-server", 22, |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let other = Authority::new("others").write(&folder, "svc-other", 23, |_| {});
    for pair in [&expired, &early, &server_only, &other] {
        assert_eq!(door.curl(Some(pair), None).await, None, "{}", pair.certificate.display());
    }
    let key = door.site.key.clone();
    assert_eq!(door.curl(None, Some(&key)).await, None, "a certificate is required");
    let records = door.refused().await;
    let subjects = |code: &str| -> Vec<Option<&str>> {
        records.iter().filter(|(c, _)| c == code).map(|(_, subject)| subject.as_deref()).collect()
    };
    assert_eq!(subjects("E0976").first(), Some(&Some("CN=svc-old")), "{records:?}");
    assert_eq!(subjects("E0977").first(), Some(&Some("CN=svc-server")), "{records:?}");
}

#[tokio::test]
async fn where_certificates_are_optional_a_key_lets_in_as_well() {
    let door = Door::open(false).await;
    let key = door.site.key.clone();
    assert_eq!(door.curl(None, Some(&key)).await, let_in());
    assert_eq!(door.curl(None, None).await, refused("E0901"));
    let other = Authority::new("others").write(door.files.path(), "svc-other", 30, |_| {});
    assert_eq!(door.curl(Some(&other), Some(&key)).await, None, "one that is shown must count");
}

#[tokio::test]
async fn a_list_that_revokes_counts_at_once_also_for_connections_that_are_open() {
    let door = Door::open(true).await;
    let (revoked, other) = (door.client("svc-lost", 40), door.client("svc-kept", 41));
    let (mut lost, mut kept) = (door.stay(&revoked).await, door.stay(&other).await);
    assert_eq!((lost.ask().await.0, kept.ask().await.0), (200, 200));
    let list = door.files.path().join("clients.crl");
    std::fs::write(&list, door.authority.list(&[40], 2040)).unwrap();
    loop {
        match lost.ask().await {
            (200, _) => {}
            (status, code) => break assert_eq!((status, code.as_str()), (401, "E0975")),
        }
    }
    assert_eq!(kept.ask().await.0, 200);
    assert_eq!(door.curl(Some(&revoked), None).await, None, "and makes no new one");
    assert_eq!(door.curl(Some(&other), None).await, let_in());
    let records = door.refused().await;
    assert_eq!(records.first(), Some(&("E0975".to_owned(), Some("CN=svc-lost".to_owned()))), "{records:?}");
}

#[tokio::test]
async fn a_connection_does_not_outlive_its_certificate() {
    let door = Door::open(true).await;
    let short = door.authority.write(door.files.path(), "svc-short", 50, |params| {
        params.not_after = date_time_ymd(2027, 1, 1);
    });
    let mut open = door.stay(&short).await;
    assert_eq!(open.ask().await.0, 200);
    door.site.clock.advance(Duration::from_secs(60 * 86_400));
    // The keys' table has to be seen again under the new time before anybody is judged.
    loop {
        match open.ask().await {
            (503, _) => {}
            answer => break assert_eq!(answer, (401, "E0976".to_owned())),
        }
    }
}

#[tokio::test]
async fn a_handshake_that_is_not_made_ends_and_those_beyond_the_limit_are_not_begun() {
    let patient = TlsLimits { handshakes_max: 1, ..TlsLimits::default() };
    let door = Door::open_within(false, patient).await;
    let key = door.site.key.clone();
    let silent = connect(door.site.port()).await;
    let mut second = connect(door.site.port()).await;
    assert_eq!(second.read(&mut [0; 8]).await.unwrap_or(0), 0, "closed without a word");
    drop(silent);
    while door.curl(None, Some(&key)).await != let_in() {}
    let brief = TlsLimits { handshake_timeout: Duration::from_millis(20), ..TlsLimits::default() };
    let door = Door::open_within(false, brief).await;
    let mut trickling = connect(door.site.port()).await;
    trickling.write_all(b"\x16\x03\x01").await.unwrap();
    assert_eq!(trickling.read(&mut [0; 8]).await.unwrap_or(0), 0, "given up");
}

/// Reads the files once more, as the gateway does while it serves.
fn open(files: &TlsFiles) -> Result<Tls, TlsError> {
    Tls::open(files.clone(), TlsLimits::default(), hermetic_clock::Clock::manual(1_795_000_000_000))
}

#[test]
fn files_are_taken_over_when_they_fit_together_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let authority = Authority::new("clients");
    let server = authority.write(path, "gateway", 1, |_| {});
    let renewed = authority.write(path, "renewed", 2, |_| {});
    std::fs::write(path.join("ca.pem"), &authority.pem).unwrap();
    std::fs::write(path.join("list.crl"), authority.list(&[], 2040)).unwrap();
    let files = |certificate: &Path, key: &Path| TlsFiles {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        clients: ClientAuthentication::On {
            authorities: path.join("ca.pem"),
            required: true,
            lists: vec![path.join("list.crl")],
            overdue: OverdueLists::Refuse,
        },
    };
    let tls = open(&files(&server.certificate, &server.key)).unwrap();
    assert!(!tls.look().unwrap(), "nothing changed");
    std::fs::copy(&renewed.certificate, &server.certificate).unwrap();
    assert!(matches!(tls.look(), Err(TlsError::Pair { .. })), "the key is still the old one");
    assert!(!tls.look().unwrap(), "the same files are complained about once");
    std::fs::copy(&renewed.key, &server.key).unwrap();
    assert!(tls.look().unwrap());
    let lie = Authority::new("clients").list(&[], 2040);
    std::fs::write(path.join("list.crl"), lie).unwrap();
    assert!(
        matches!(tls.look(), Err(TlsError::ListSignature { .. })),
        "an authority of the same name signed it"
    );
    std::fs::write(path.join("list.crl"), &authority.list(&[7], 2040)[..200]).unwrap();
    assert!(tls.look().is_err(), "half a list");
    std::fs::write(path.join("list.crl"), authority.list(&[7], 2040)).unwrap();
    assert!(tls.look().unwrap());
}

#[test]
fn files_that_cannot_serve_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let authority = Authority::new("clients");
    let good = authority.write(path, "good", 1, |_| {});
    let expired = authority.write(path, "expired", 2, |params| params.not_after = date_time_ymd(2021, 1, 1));
    let refused = |certificate: &Path, key: &Path| {
        let files = TlsFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            clients: ClientAuthentication::Off,
        };
        open(&files).unwrap_err()
    };
    assert!(
        open(&TlsFiles {
            certificate: good.certificate.clone(),
            key: good.key.clone(),
            clients: ClientAuthentication::Off
        })
        .is_ok()
    );
    assert!(matches!(refused(&expired.certificate, &expired.key), TlsError::Dates { .. }));
    assert!(matches!(refused(&good.certificate, &expired.key), TlsError::Pair { .. }));
    assert!(matches!(refused(&good.key, &good.key), TlsError::Empty { .. }));
    assert!(matches!(refused(&path.join("none"), &good.key), TlsError::File(_)));
    let chain = path.join("chain.pem");
    let text = |pair: &Pair| std::fs::read_to_string(&pair.certificate).unwrap();
    std::fs::write(&chain, format!("{}{}", text(&good), authority.pem)).unwrap();
    assert!(
        open(&TlsFiles {
            certificate: chain.clone(),
            key: good.key.clone(),
            clients: ClientAuthentication::Off
        })
        .is_ok()
    );
    std::fs::write(&chain, format!("{}{}", text(&good), text(&authority.write(path, "between", 3, |_| {}))))
        .unwrap();
    assert!(matches!(refused(&chain, &good.key), TlsError::Chain { .. }));
}
