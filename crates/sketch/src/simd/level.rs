//! The instruction sets that kernels may use: those of the processor, up to a cap from the environment.
//!
//! The choice is made once, when the first kernel runs, and costs every other one what it costs to ask the standard
//! library for a feature: a number is loaded and compared. `nearlin-dense`, which does not know this crate, has
//! such a file with one level more.

use std::ffi::OsStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// Instruction sets that there are kernels for, each with those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Level {
    /// What every processor of the target has.
    Portable = 1,
    /// AVX2 with fused multiplication and addition.
    Avx2,
    /// The foundation of AVX-512. What else there is of it is asked for where it is used.
    Avx512,
}

/// The highest level that kernels may use; 0 before it is known.
static CHOSEN: AtomicU8 = AtomicU8::new(0);

impl Level {
    /// Whether kernels may use it, which implies that the processor has it.
    #[inline]
    pub(super) fn on(self) -> bool {
        let chosen = CHOSEN.load(Ordering::Relaxed);
        self as u8 <= if chosen == 0 { choose() } else { chosen }
    }

    /// The highest that the processor has.
    fn of_processor() -> Self {
        let avx2 = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
        match avx2 {
            true if std::is_x86_feature_detected!("avx512f") => Self::Avx512,
            true => Self::Avx2,
            false => Self::Portable,
        }
    }

    /// The highest up to a cap by its name; what names none is no cap.
    fn capped(self, cap: Option<&OsStr>) -> Self {
        let cap = match cap.and_then(OsStr::to_str) {
            Some("portable") => Self::Portable,
            Some("avx2") => Self::Avx2,
            _ => Self::Avx512,
        };
        self.min(cap)
    }
}

/// Finds the level. Threads that do so at the same time find the same.
#[cold]
fn choose() -> u8 {
    let chosen = Level::of_processor().capped(std::env::var_os("NEARLIN_ISA").as_deref()) as u8;
    CHOSEN.store(chosen, Ordering::Relaxed);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_lowers_the_level_and_raises_none() {
        let levels = [Level::Portable, Level::Avx2, Level::Avx512];
        for (cap, name) in levels.into_iter().zip(["portable", "avx2", "avx512"]) {
            for level in levels {
                assert_eq!(level.capped(Some(OsStr::new(name))), level.min(cap), "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_level_is_no_cap() {
        for level in [Level::Portable, Level::Avx2, Level::Avx512] {
            assert_eq!(level.capped(None), level);
            for name in ["", "AVX2", "avx", "neon", "portable "] {
                assert_eq!(level.capped(Some(OsStr::new(name))), level, "{name:?}");
            }
        }
    }

    /// Also where the environment caps this very run.
    #[test]
    fn kernels_use_what_the_processor_has_and_the_environment_allows() {
        let most = Level::of_processor().capped(std::env::var_os("NEARLIN_ISA").as_deref());
        for level in [Level::Portable, Level::Avx2, Level::Avx512] {
            assert_eq!(level.on(), level <= most, "{level:?} of {most:?}");
        }
    }
}
