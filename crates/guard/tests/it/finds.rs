//! What is found, and what is not.

use crate::plans::{detectors, masking};
use hermetic_guard::{View, Writing, redact};

fn redacted(text: &str) -> String {
    let view = View::of(Writing::Plain, text.as_bytes());
    let redaction = redact(masking(), &mut masking().scratch(), &view);
    redaction.text.map_or_else(|| text.to_owned(), |text| String::from_utf8(text).unwrap())
}

#[test]
fn what_is_personal_is_found() {
    for (text, expected) in [
        ("write to john.doe@example.org.", "write to [EMAIL]."),
        ("card 4111 1111 1111 1111, exp", "card [CARD], exp"),
        ("IBAN GB82 WEST 1234 5698 7654 32 AND", "IBAN [IBAN] AND"),
        ("ssn: 536-22-1234", "ssn: [SSN]"),
        ("call (212) 555-0173 now", "call [PHONE] now"),
        ("ring +49 170 1234567.", "ring [PHONE]."),
        ("from 192.168.17.4:8080", "from [IP]:8080"),
        ("NHS number 943 476 5919", "NHS number [NHS]"),
        ("NINO AB 12 34 56 C", "NINO [NINO]"),
        ("Steuer-ID 86095742719", "Steuer-ID [TAX_ID]"),
        ("DNI 12345678Z", "DNI [NIF]"),
        ("codice RSSMRA85T10A562S", "codice [FISCAL_CODE]"),
        ("BSN 111222333", "BSN [BSN]"),
        ("PESEL 44051401359", "PESEL [PESEL]"),
        ("hetu 131052-308T", "hetu [HETU]"),
        ("AHV 756.9217.0769.85", "AHV [AHV]"),
        ("CPF 529.982.247-25", "CPF [CPF]"),
        ("SIN 130 692 544", "SIN [SIN]"),
        ("Aadhaar 2341 2341 2346", "Aadhaar [AADHAAR]"),
        ("id 11010519491231002X", "id [RESIDENT]"),
        ("NRIC S1234567D", "NRIC [NRIC]"),
        ("TCKN 10000000146", "TCKN [TCKN]"),
        ("TFN 123 456 782", "TFN [TFN]"),
        ("ABN 51 824 753 556", "ABN [ABN]"),
        ("ID 9001315009083", "ID [ID]"),
        ("VIN 1M8GDM9AXKP042788", "VIN [VIN]"),
        ("NPI 1234567893", "NPI [NPI]"),
        ("DEA AB1234563", "DEA [DEA]"),
        ("MBI 1EG4-TE5-MK73", "MBI [MBI]"),
        ("MRN: 00123456", "MRN: [MRN]"),
        ("aged 93 and well", "aged [AGE] and well"),
        ("Springfield, IL 62704", "Springfield, IL [ZIP]"),
        ("born 1985-10-03 in", "born [DATE] in"),
        ("on March 3, 1999.", "on [DATE]."),
        ("routing 021000021", "routing [ABA]"),
        ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "[CRYPTO]"),
        ("passport 533380006", "passport [PASSPORT]"),
    ] {
        assert_eq!(redacted(text), expected);
    }
}

#[test]
fn what_only_looks_personal_is_left_alone() {
    for text in [
        "4111 1111 1111 1112",
        "version 10.20.30.40 of it",
        "1.2.3.4.5",
        "the year 2026 and 123456789 items",
        "000-12-3456",
        "pi is 3.14159265358979",
        "user@host",
        "10:45:30",
        "commit 4be0123456789",
        "GB82 WEST 1234 5698 7654 33",
        "may 5 people come",
        "aged 42",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn secrets_are_found_and_what_stands_for_one_is_not() {
    for (text, expected) in [
        ("token ghp_16C7e42F292c6912E7710c838347Ae178B4a end", "token [GITHUB_PAT] end"),
        ("postgres://admin:s3cr3tPw@db:5432/x", "postgres://admin:[URL_PASSWORD]@db:5432/x"),
        ("a -----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY----- b", "a [PRIVATE_KEY] b"),
        ("a -----BEGIN PRIVATE KEY-----\nMHcC and more", "a [PRIVATE_KEY]"),
        (
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY3SSAMP1EKQ",
            "aws_secret_access_key = [AWS_SECRET_ACCESS_KEY]",
        ),
        ("api_key: \"8f14e45fceea167a5a36dedd4bea2543\"", "api_key: \"[GENERIC]\""),
        ("the password is Tr0ub4dor&3.", "the password is [PASSWORD]."),
    ] {
        assert_eq!(redacted(text), expected);
    }
    for text in [
        "AKIAIOSFODNN7EXAMPLE",
        "password = os.environ[\"PASSWORD\"]",
        "token = get_token(session)",
        "api_key = \"your_api_key_goes_here_1234\"",
        "secret: ${SECRET}",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "key = self.config.access_key_id",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn there_are_as_many_rules_as_the_manual_says() {
    let detectors = detectors();
    let names = |group: &str| {
        let mut names: Vec<&str> = detectors.rules().map(|(_, rule)| rule.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter(|name| name.starts_with(group)).count()
    };
    assert!(names("secret.") >= 200, "{}", names("secret."));
    assert!(names("pii.") + names("phi.") >= 70, "{}", names("pii.") + names("phi."));
}
