//! The stages of the pipeline, in order, one file each.

pub(crate) mod accept;
pub(crate) mod admit;
pub(crate) mod aside;
pub(crate) mod attempts;
pub(crate) mod authorize;
pub(crate) mod call;
pub(crate) mod count;
pub(crate) mod exchange;
pub(crate) mod guard;
pub(crate) mod identify;
pub(crate) mod limit;
pub(crate) mod masks;
pub(crate) mod queue;
pub(crate) mod read;
pub(crate) mod record;
pub(crate) mod resume;
pub(crate) mod route;
pub(crate) mod settle;
pub(crate) mod silence;
pub(crate) mod stream;
pub(crate) mod tokens;
pub(crate) mod whole;
