//! The manual is compiled in by a macro cargo cannot look into: without this, a page that was added would be missing from
//! a build that reuses this crate.

fn main() {
    println!("cargo::rerun-if-changed=../../docs");
}
