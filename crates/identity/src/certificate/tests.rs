//! Certificates as an authority makes them, read and mapped.

use super::*;
use crate::grants::GrantRules;
use crate::scopes::Scopes;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, OtherNameValue, SanType};

/// PIV authentication with a key held in hardware; as content of the certificate policies extension.
const HARDWARE_POLICY: &str = "2.16.840.1.101.3.2.1.3.13";
const POLICIES_DER: [u8; 16] =
    [0x30, 0x0e, 0x30, 0x0c, 0x06, 0x0a, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x02, 0x01, 0x03, 0x0d];

fn certificate() -> CertificateFacts {
    let mut params = CertificateParams::default();
    let name = |text: &str| Ia5String::try_from(text).unwrap();
    params.distinguished_name.push(DnType::CommonName, "DOE.JOHN.Q.1234567890");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "Claims");
    params.distinguished_name.push(DnType::OrganizationName, "Corp");
    params.subject_alt_names = vec![
        SanType::DnsName(name("Batch.Claims.corp.example")),
        SanType::URI(name("spiffe://corp.example/sa/triage")),
        SanType::Rfc822Name(name("John@Corp.example")),
        SanType::OtherName((
            vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3],
            OtherNameValue::Utf8String("1234567890@corp".to_owned()),
        )),
    ];
    params.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 32], POLICIES_DER.to_vec()));
    params.serial_number = Some(vec![0x0a, 0xbc].into());
    let key = KeyPair::generate().unwrap();
    CertificateFacts::read(params.self_signed(&key).unwrap().der()).unwrap()
}

fn rule(conditions: &[(Field, &str)], subject: &str) -> CertificateRule {
    let condition =
        |(field, text): &(Field, &str)| Condition { field: *field, pattern: text.parse().unwrap() };
    CertificateRule {
        conditions: conditions.iter().map(condition).collect(),
        grants: GrantRules {
            subject: subject.parse().unwrap(),
            project: "claims".parse().unwrap(),
            team: "{ou}".parse().unwrap(),
            workflow: "triage".parse().unwrap(),
            groups: vec!["cardholders".parse().unwrap()],
            groups_claim: None,
            clearance: Some("secret".parse().unwrap()),
            metadata: Vec::new(),
            scopes: Scopes::default(),
        },
    }
}

fn subject_by(rules: Vec<CertificateRule>) -> Result<String, CertificateRefusal> {
    let found = CertificateRules::new(rules).authenticate(&certificate());
    found.map(|who| who.owner().subject.to_string()).map_err(|error| error.reason)
}

#[test]
fn a_certificate_says_its_names_policies_and_serial() {
    let facts = certificate();
    assert_eq!(facts.common_names, ["DOE.JOHN.Q.1234567890"]);
    assert_eq!(
        (facts.organizations, facts.organizational_units),
        (vec!["Corp".to_owned()], vec!["Claims".to_owned()])
    );
    assert_eq!(facts.dns, ["batch.claims.corp.example"]);
    assert_eq!(facts.uris, ["spiffe://corp.example/sa/triage"]);
    assert_eq!(
        (facts.emails, facts.upns),
        (vec!["john@corp.example".to_owned()], vec!["1234567890@corp".to_owned()])
    );
    assert_eq!((facts.policies, facts.serial.as_str()), (vec![HARDWARE_POLICY.to_owned()], "0abc"));
    assert!(CertificateFacts::read(b"\x30\x03\x02\x01\x00").is_err());
}

#[test]
fn each_field_can_name_somebody_and_the_star_can() {
    for (field, pattern, subject, named) in [
        (Field::Dns, "*.claims.corp.example", "{*}", "batch"),
        (Field::Uri, "spiffe://corp.example/sa/*", "{*}", "triage"),
        (Field::Email, "*@corp.example", "{email}", "john@corp.example"),
        (Field::Upn, "*@corp", "{upn}", "1234567890@corp"),
        (Field::CommonName, "DOE.*", "{cn}", "DOE.JOHN.Q.1234567890"),
        (Field::Organization, "Corp", "svc-{serial}", "svc-0abc"),
        (Field::OrganizationalUnit, "Claims", "{ou}", "Claims"),
        (Field::Policy, HARDWARE_POLICY, "{dns}", "batch.claims.corp.example"),
    ] {
        assert_eq!(subject_by(vec![rule(&[(field, pattern)], subject)]), Ok(named.to_owned()), "{field:?}");
    }
}

#[test]
fn all_conditions_must_hold_the_first_rule_decides_and_without_one_nobody_is_let_in() {
    let hardware = (Field::Policy, HARDWARE_POLICY);
    let other = (Field::Policy, "2.16.840.1.101.3.2.1.3.7");
    assert_eq!(
        subject_by(vec![rule(&[hardware, (Field::Upn, "*@other")], "a")]),
        Err(CertificateRefusal::Unmapped)
    );
    assert_eq!(
        subject_by(vec![rule(&[other], "a"), rule(&[hardware], "b"), rule(&[hardware], "c")]),
        Ok("b".to_owned())
    );
    assert_eq!(subject_by(vec![rule(&[], "everybody")]), Err(CertificateRefusal::Unmapped));
    assert_eq!(subject_by(Vec::new()), Err(CertificateRefusal::Unmapped));
    for (field, near) in
        [(Field::Dns, "claims.corp.example"), (Field::Dns, "*.corp.exampl"), (Field::CommonName, "doe.*")]
    {
        assert_eq!(
            subject_by(vec![rule(&[(field, near)], "a")]),
            Err(CertificateRefusal::Unmapped),
            "{near}"
        );
    }
    assert!(matches!(subject_by(vec![rule(&[hardware], "{uri}")]), Err(CertificateRefusal::Grants(_))));
}

#[test]
fn a_certificate_brings_groups_clearance_and_a_credential_for_the_record() {
    let facts = certificate();
    let who =
        CertificateRules::new(vec![rule(&[(Field::Upn, "*@corp")], "{upn}")]).authenticate(&facts).unwrap();
    assert_eq!((who.groups()[0].as_str(), who.clearance().unwrap().as_str()), ("cardholders", "secret"));
    let shown = serde_json::to_value(who.credential()).unwrap();
    assert_eq!((shown["kind"].as_str(), shown["serial"].as_str()), (Some("certificate"), Some("0abc")));
    assert_eq!(shown["fingerprint"], facts.fingerprint.to_string());
}
