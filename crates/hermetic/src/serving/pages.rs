//! The manual on the gateway's own listener: there is no other place to read it inside an enclave.

use crate::cli::manual;
use hermetic_gateway::{Page, PageLookup};

pub(crate) fn manual() -> PageLookup {
    PageLookup::new(|path| {
        manual::html_at(path).map(|html| Page { content_type: "text/html; charset=utf-8", body: html.into() })
    })
}
