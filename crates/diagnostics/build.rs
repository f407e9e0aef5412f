//! Pages are compiled in by a macro cargo cannot look into: without this, a page that was added or changed would be
//! missing from a build that reuses this crate.

#![expect(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

fn main() {
    println!("cargo::rerun-if-changed=pages");
}
