//! A vendor, a disk and an enclave: bundles are signed by real keys, carried through real files, and taken in by a real
//! store, database and ledger.

#[path = "it/enclave.rs"]
mod enclave;
#[path = "it/export.rs"]
mod export;
#[path = "it/flow.rs"]
mod flow;
#[path = "it/resume.rs"]
mod resume;
#[path = "it/rotation.rs"]
mod rotation;
#[path = "it/tampering.rs"]
mod tampering;
#[path = "it/vendor.rs"]
mod vendor;
#[path = "it/workshop.rs"]
mod workshop;
