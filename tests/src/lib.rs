//! Cross-crate laws live in the test files beside this one.

/// The examples of README.md, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
#[derive(Debug)]
pub struct Readme;

/// The guide to `nearlin-krylov`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guides/krylov.md")]
#[derive(Debug)]
pub struct KrylovGuide;

/// The guide to `nearlin-sketch`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guides/sketch.md")]
#[derive(Debug)]
pub struct SketchGuide;

/// The guide to `nearlin-lstsq`, likewise.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guides/lstsq.md")]
#[derive(Debug)]
pub struct LstsqGuide;
