//! One page of the manual as one HTML file: no script, no font, no picture from anywhere else.

use super::Page;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag};
use std::fmt::Write as _;

const STYLE: &str = "body{display:flex;gap:3rem;max-width:72rem;margin:2rem auto;padding:0 1rem;font:1rem/1.55 system-ui,\
sans-serif;color:#1a1a1a;background:#fff}nav{flex:0 0 14rem;font-size:.9rem}nav a{display:block;padding:.15rem 0}main{\
min-width:0}a{color:#0b5394}code,pre{font:.88rem/1.45 ui-monospace,monospace;background:#f4f4f2}pre{padding:.8rem;\
overflow-x:auto}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left}\
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}code,pre{background:#242424}a{color:#8ab4f8}}\
@media(max-width:50rem){body{display:block}}";

pub(super) fn page(page: &Page, all: &[Page]) -> String {
    let depth = page.name.matches('/').count();
    let up = "../".repeat(depth);
    let mut body = String::new();
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH;
    pulldown_cmark::html::push_html(&mut body, Parser::new_ext(page.text, options).map(relinked));
    let mut out = String::new();
    let title = escaped(&page.title);
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
        <title>{title} · Hermetic</title><style>{STYLE}</style><nav>"
    );
    for other in all {
        let current = if other.name == page.name { " aria-current=\"page\"" } else { "" };
        let _ = write!(out, "<a href=\"{up}{}.html\"{current}>{}</a>", other.name, escaped(&other.title));
    }
    let _ = write!(out, "</nav><main>{body}</main></html>");
    out
}

/// Links between pages name the Markdown file; here they must name the HTML file.
fn relinked(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: html_target(dest_url), title, id })
        }
        other => other,
    }
}

fn html_target(target: CowStr<'_>) -> CowStr<'_> {
    let (path, anchor) =
        target.split_once('#').map_or((&*target, None), |(path, anchor)| (path, Some(anchor)));
    match (path.contains("://"), path.strip_suffix(".md"), anchor) {
        (false, Some(name), None) => format!("{name}.html").into(),
        (false, Some(name), Some(anchor)) => format!("{name}.html#{anchor}").into(),
        _ => target,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
