//! Integration tests of `hermetic-guard`, in one binary.
#[path = "it/exact.rs"]
mod exact;
#[path = "it/finds.rs"]
mod finds;
#[path = "it/hostile.rs"]
mod hostile;
#[path = "it/injection.rs"]
mod injection;
#[path = "it/named.rs"]
mod named;
#[path = "it/plans.rs"]
mod plans;
