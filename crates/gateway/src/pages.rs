//! Pages other parts of the binary want shown on the same listener, such as the manual.

use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// A page that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Page {
    pub content_type: &'static str,
    pub body: Bytes,
}

type Find = dyn Fn(&str) -> Option<Page> + Send + Sync;

/// Finds the page for the path of a GET request. The composition hands it in; the gateway asks it last.
#[derive(Clone)]
pub struct PageLookup(Arc<Find>);

impl PageLookup {
    pub fn new(find: impl Fn(&str) -> Option<Page> + Send + Sync + 'static) -> Self {
        Self(Arc::new(find))
    }

    /// No pages.
    pub fn none() -> Self {
        Self::new(|_| None)
    }

    pub(crate) fn find(&self, path: &str) -> Option<Page> {
        (self.0)(path)
    }
}

impl fmt::Debug for PageLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageLookup")
    }
}
