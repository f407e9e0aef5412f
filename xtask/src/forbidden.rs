//! Text that must not be in the repository: built-in addresses, paths of somebody's machine, unfinished work.

use crate::repository::{File, Finding, Repository};

/// Written in two halves so that this file does not find itself.
const UNFINISHED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")];

/// Folders that exist on a developer's machine only.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Use", "rs/")];

/// Package registries and model hubs, name and domain apart for the same reason.
const REGISTRIES: [(&str, &str); 6] = [
    ("crates", "io"),
    ("pypi", "org"),
    ("npmjs", "org"),
    ("npmjs", "com"),
    ("huggingface", "co"),
    ("docker", "io"),
];

pub(crate) fn check(repository: &Repository) -> Vec<Finding> {
    repository.files.iter().filter(|file| file.path != "LICENSE").flat_map(lines).collect()
}

fn lines(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (i, line) in file.text.lines().enumerate() {
        let mut add = |rule, message: String| findings.push(Finding::new(rule, &file.path, i + 1, message));
        if let Some(word) = UNFINISHED.iter().find(|word| line.contains(**word)) {
            add("unfinished", format!("`{word}`: finish it, or write it into the tracker"));
        }
        if let Some(path) = MACHINE_PATHS.iter().find(|path| has_path(line, path)) {
            add("machine-path", format!("`{path}` exists on one machine only"));
        }
        if let Some((name, domain)) =
            REGISTRIES.iter().find(|(name, domain)| line.contains(&format!("{name}.{domain}")))
        {
            add("registry", format!("`{name}.{domain}`: no registry is built in"));
        }
    }
    if file.is_product_source() {
        let shipped = file.shipped_lines().filter(|(_, line)| !line.trim_start().starts_with("//"));
        for (number, line) in shipped {
            findings.extend(urls(line).map(|url| {
                let message = format!("built-in URL `{url}`: addresses come from the configuration");
                Finding::new("url", &file.path, number, message)
            }));
        }
    }
    findings
}

/// The folder as the start of a path, not the middle of one.
fn has_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '$' | '>')))
    })
}

/// URLs of a line of code, with a host that could be somebody's: documentation names (RFC 2606) and loopback are not.
fn urls(line: &str) -> impl Iterator<Item = &str> {
    let starts = line.match_indices("http").map(|(at, _)| line.get(at..).unwrap_or_default());
    starts.filter_map(|rest| {
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '`' | '>' | ')' | '<'))
            .unwrap_or(rest.len());
        let url = rest.get(..end)?;
        let after = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
        let host = after.split(['/', ':', '?']).next().unwrap_or_default();
        let harmless = host.is_empty()
            || host.starts_with('{')
            || host == "localhost"
            || host == "host"
            || host == "example"
            || host.ends_with(".example")
            || host.starts_with("127.");
        (!harmless).then_some(url)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<&'static str> {
        lines(&File { path: path.to_owned(), text: text.to_owned() })
            .into_iter()
            .map(|finding| finding.rule)
            .collect()
    }

    #[test]
    fn built_in_addresses_machine_paths_and_unfinished_work_are_found() {
        let source = "crates/a/src/lib.rs";
        assert_eq!(findings(source, "let u = \"https://api.somewhere.com/v1\";"), ["url"]);
        assert!(
            findings(source, "/// as in https://somewhere.com\nlet u = \"http://127.0.0.1:80/\";").is_empty()
        );
        assert!(findings(source, "let u = \"http://vllm.corp.example/v1\";").is_empty());
        assert_eq!(findings("README.md", concat!("see /ho", "me/ada/x")), ["machine-path"]);
        assert!(findings("README.md", "see docs/home/x and $DIR/root/x").is_empty());
        assert_eq!(findings("README.md", concat!("TO", "DO")), ["unfinished"]);
        assert_eq!(findings("README.md", concat!("pip from pypi", ".org")), ["registry"]);
    }
}
