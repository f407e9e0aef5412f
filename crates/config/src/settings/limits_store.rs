//! Where counters are kept that several gateways share, as the rest of the program sees it.

use crate::formats;
use crate::wire::limits_store::{LimitsStore as Wire, OnLoss};
use std::path::{Path, PathBuf};

/// A server of shared counters. In sealed tiers its host lies inside the enclave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitsStore {
    pub host: String,
    pub port: u16,
    pub database: u32,
    pub user: Option<String>,
    pub password_file: Option<PathBuf>,
    pub namespace: String,
    pub replicas: u32,
    pub on_loss: OnLoss,
}

pub(crate) fn convert(wire: Wire, base: &Path) -> Result<LimitsStore, String> {
    let (url, database) = formats::redis_endpoint(&wire.redis)?;
    Ok(LimitsStore {
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port().unwrap_or(formats::REDIS_PORT),
        database,
        user: wire.user,
        password_file: wire.password_file.map(|file| base.join(file)),
        namespace: wire.namespace,
        replicas: wire.replicas,
        on_loss: wire.on_loss,
    })
}
