//! `hermetic manual`: the pages of `docs/`, which travel in the binary because an enclave has no internet to read.

use super::Context;
use hermetic_bounded_io::{FileError, Mode};
use hermetic_diagnostics::{Code, Diagnose, Report};
use include_dir::{Dir, include_dir};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod html;

static DOCS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../docs");

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A page such as `getting-started`; without one, all pages are listed.
    page: Option<String>,
    /// Write the whole manual as HTML into this folder instead.
    #[arg(long, value_name = "DIR", conflicts_with = "page")]
    html: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
enum ManualError {
    #[error("expected a page of the manual, found `{page}`")]
    UnknownPage { page: String },
    #[error("cannot write the manual to `{folder}`", folder = folder.display())]
    Write { folder: PathBuf, source: FileError },
}

impl Diagnose for ManualError {
    fn code(&self) -> Code {
        match self {
            Self::UnknownPage { .. } => Code::new("E1001"),
            Self::Write { .. } => Code::new("E1002"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownPage { page } => {
                let near = pages().into_iter().find(|known| known.name.contains(page.as_str()));
                Some(match near {
                    Some(near) => format!("did you mean `{}`?", near.name),
                    None => "`hermetic manual` lists every page".to_owned(),
                })
            }
            Self::Write { .. } => None,
        }
    }
}

/// One page, named as `hermetic manual NAME` takes it.
#[derive(Debug, serde::Serialize)]
struct Page {
    name: String,
    title: String,
    #[serde(skip)]
    text: &'static str,
}

/// The pages in the order of `SUMMARY.md`, which tidy holds complete.
fn pages() -> Vec<Page> {
    let summary = DOCS.get_file("SUMMARY.md").and_then(|file| file.contents_utf8()).unwrap_or_default();
    summary.lines().filter_map(entry).collect()
}

/// `- [Title](page.md)` of the summary, with the page's text.
fn entry(line: &str) -> Option<Page> {
    let (title, target) =
        line.trim().trim_start_matches(['-', '*', ' ']).strip_prefix('[')?.split_once("](")?;
    let target = target.strip_suffix(')')?.trim_start_matches("./");
    let text = DOCS.get_file(target)?.contents_utf8()?;
    Some(Page { name: target.strip_suffix(".md")?.to_owned(), title: title.to_owned(), text })
}

pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<ExitCode, Report> {
    match (&arguments.html, &arguments.page) {
        (Some(folder), _) => {
            let written = write_html(folder)?;
            context.out.result(&written, |path| vec![format!("open {}", path.display())]);
        }
        (None, None) => context.out.result(&pages(), |pages| {
            pages.iter().map(|page| format!("{:<28} {}", page.name, page.title)).collect()
        }),
        (None, Some(name)) => {
            let wanted = name.trim_end_matches(".md");
            let page = pages().into_iter().find(|page| page.name == wanted);
            let page =
                page.ok_or_else(|| ManualError::UnknownPage { page: name.chars().take(60).collect() })?;
            context.out.line(page.text.trim_end());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The manual as the gateway shows it: `/manual`, `/manual/NAME.html`.
pub(crate) fn html_at(path: &str) -> Option<String> {
    let name = path.strip_prefix("/manual")?;
    let name = name.strip_prefix('/').unwrap_or(name);
    let pages = pages();
    let page = match name.strip_suffix(".html") {
        Some(name) => pages.iter().find(|page| page.name == name)?,
        None if matches!(path, "/manual" | "/manual/") => pages.first()?,
        None => return None,
    };
    // Links between pages are relative; without its last slash the address would lead them astray.
    Some(html::page(page, &pages).replacen("<title>", "<base href=\"/manual/\"><title>", 1))
}

fn write_html(folder: &Path) -> Result<PathBuf, ManualError> {
    let fail = |source| ManualError::Write { folder: folder.to_owned(), source };
    let pages = pages();
    for page in &pages {
        let path = folder.join(format!("{}.html", page.name));
        if let Some(parent) = path.parent() {
            hermetic_bounded_io::create_folders(parent, Mode::Shared).map_err(fail)?;
        }
        hermetic_bounded_io::write_atomic(&path, html::page(page, &pages).as_bytes(), Mode::Shared)
            .map_err(fail)?;
    }
    let first = pages.first().map_or("introduction", |page| page.name.as_str());
    Ok(folder.join(format!("{first}.html")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_of_the_summary_is_in_the_binary_and_has_a_heading() {
        let summary = DOCS.get_file("SUMMARY.md").unwrap().contents_utf8().unwrap();
        let listed = summary.lines().filter(|line| line.contains("](")).count();
        assert_eq!(pages().len(), listed);
        assert!(pages().iter().all(|page| page.text.starts_with("# ")));
    }

    #[test]
    fn the_html_points_at_its_own_pages_and_nothing_outside() {
        let folder = tempfile::tempdir().unwrap();
        let first = write_html(folder.path()).unwrap();
        let html = hermetic_bounded_io::read_text_capped(&first, 1 << 20).unwrap();
        assert!(html.contains("<h1>") && html.contains("getting-started.html"));
        assert!(!html.contains("src=\"http") && !html.contains("<script"));
    }

    #[test]
    fn the_gateway_shows_pages_of_the_manual_and_nothing_else() {
        assert!(html_at("/manual").is_some() && html_at("/manual/glossary.html").is_some());
        for path in [
            "/manual/../../etc/passwd",
            "/manual/nothing.html",
            "/manualx",
            "/v1/models",
            "/manual/SUMMARY.html",
        ] {
            assert!(html_at(path).is_none(), "{path}");
        }
    }
}
