//! Cross-crate laws live in the test files beside this one.

/// The examples of README.md, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;
