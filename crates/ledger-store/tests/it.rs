//! The ledger on a real disk, under real kills, between real processes.

mod it {
    pub(crate) mod crash;
    pub(crate) mod damage;
    pub(crate) mod full_disk;
    pub(crate) mod processes;
    pub(crate) mod reading;
    pub(crate) mod support;
}
