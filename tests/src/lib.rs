//! Cross-crate laws live in the test files beside this one.
