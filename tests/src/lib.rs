//! What the tests share: a network namespace per test, a real xenstored, and a dom0 of both.

pub mod c;
pub mod c_header;
pub mod callgrind;
pub mod domain_store;
pub mod embedded_store;
pub mod facts;
pub mod faulty_store;
pub mod frames;
pub mod frr;
pub mod guests;
pub mod hosts;
pub mod hotplug;
pub mod lan;
pub mod listener;
pub mod netns;
pub mod nft;
pub mod ovn;
pub mod ovs;
pub mod peak;
pub mod random;
pub mod roff;
pub mod strace;
pub mod talk;
pub mod tap;
pub mod uml;
pub mod world;
pub mod xenstored;

/// The Rust that README shows.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The Rust that docs/rust.md shows.
#[cfg(doctest)]
#[doc = include_str!("../../docs/rust.md")]
struct RustPage;
