//! What the tests share: a network namespace per test and a real xenstored.

pub mod embedded_store;
pub mod faulty_store;
pub mod xenstored;
