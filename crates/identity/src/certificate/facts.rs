//! What a client certificate says, read once per connection.

use crate::certificate::error::CertificateForm;
use hermetic_clock::UnixMillis;
use hermetic_digest::Digest;
use hermetic_ledger::record::Credential;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Any, Decode, Tag, Tagged};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{CertificatePolicies, SubjectAltName};
use x509_cert::time::Time;

/// RFC 5280 §4.2.1.4 and §4.2.1.6.
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const CERTIFICATE_POLICIES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.32");
/// Microsoft's user principal name, which smart cards carry as an `otherName`.
const UPN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");
/// RFC 4519 §2.3, §2.19, §2.20.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");

/// Names of one kind that are kept; more are not needed to tell anybody.
const NAMES_MAX: usize = 32;

/// A certificate as rules see it. That it is genuine is for whoever verified its chain to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    pub fingerprint: Digest,
    /// RFC 4514.
    pub subject: String,
    pub issuer: String,
    /// Hexadecimal, without leading zeros.
    pub serial: String,
    /// First and last moment it counts.
    pub not_before: UnixMillis,
    pub not_after: UnixMillis,
    pub common_names: Vec<String>,
    pub organizations: Vec<String>,
    pub organizational_units: Vec<String>,
    pub dns: Vec<String>,
    pub uris: Vec<String>,
    pub emails: Vec<String>,
    pub upns: Vec<String>,
    /// Policy OIDs, dotted.
    pub policies: Vec<String>,
}

impl CertificateFacts {
    /// Reads a certificate in DER.
    pub fn read(der: &[u8]) -> Result<Self, CertificateForm> {
        let certificate = Certificate::from_der(der).map_err(|_| CertificateForm)?;
        let tbs = certificate.tbs_certificate;
        let mut facts = Self {
            fingerprint: Digest::of(der),
            subject: tbs.subject.to_string(),
            issuer: tbs.issuer.to_string(),
            serial: hex::encode(tbs.serial_number.as_bytes()).trim_start_matches("00").to_owned(),
            not_before: millis(tbs.validity.not_before),
            not_after: millis(tbs.validity.not_after),
            common_names: Vec::new(),
            organizations: Vec::new(),
            organizational_units: Vec::new(),
            dns: Vec::new(),
            uris: Vec::new(),
            emails: Vec::new(),
            upns: Vec::new(),
            policies: Vec::new(),
        };
        for attribute in tbs.subject.0.iter().flat_map(|rdn| rdn.0.iter()) {
            let names = match attribute.oid {
                COMMON_NAME => &mut facts.common_names,
                ORGANIZATION => &mut facts.organizations,
                ORGANIZATIONAL_UNIT => &mut facts.organizational_units,
                _ => continue,
            };
            if let Some(text) = text(&attribute.value) {
                keep(names, text);
            }
        }
        for extension in tbs.extensions.iter().flatten() {
            facts.extension(extension)?;
        }
        Ok(facts)
    }

    fn extension(&mut self, extension: &Extension) -> Result<(), CertificateForm> {
        let value = extension.extn_value.as_bytes();
        if extension.extn_id == SUBJECT_ALT_NAME {
            let names = SubjectAltName::from_der(value).map_err(|_| CertificateForm)?;
            names.0.iter().for_each(|name| self.alternative(name));
        }
        if extension.extn_id == CERTIFICATE_POLICIES {
            let policies = CertificatePolicies::from_der(value).map_err(|_| CertificateForm)?;
            let oids = policies.0.iter().map(|policy| policy.policy_identifier.to_string());
            self.policies.extend(oids.take(NAMES_MAX));
        }
        Ok(())
    }

    fn alternative(&mut self, name: &GeneralName) {
        match name {
            GeneralName::DnsName(name) => keep(&mut self.dns, name.as_str().to_ascii_lowercase()),
            GeneralName::UniformResourceIdentifier(uri) => keep(&mut self.uris, uri.as_str().to_owned()),
            GeneralName::Rfc822Name(name) => keep(&mut self.emails, name.as_str().to_ascii_lowercase()),
            GeneralName::OtherName(other) if other.type_id == UPN => {
                if let Some(upn) = text(&other.value) {
                    keep(&mut self.upns, upn);
                }
            }
            _ => {}
        }
    }

    /// As records name it.
    pub fn credential(&self) -> Credential {
        Credential::Certificate {
            fingerprint: self.fingerprint,
            subject: self.subject.chars().take(512).collect(),
            serial: self.serial.clone(),
        }
    }
}

/// Names with control characters are nobody's: a zero byte in one has fooled readers before.
fn keep(names: &mut Vec<String>, name: String) {
    if names.len() < NAMES_MAX && !name.is_empty() && !name.chars().any(char::is_control) {
        names.push(name);
    }
}

fn text(value: &Any) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => {
            std::str::from_utf8(value.value()).ok().map(str::to_owned)
        }
        _ => None,
    }
}

fn millis(time: Time) -> UnixMillis {
    u64::try_from(time.to_unix_duration().as_millis()).unwrap_or(u64::MAX)
}
