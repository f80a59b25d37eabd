//! The instruction sets that kernels may use: those of the processor, up to a cap from the environment.
//!
//! The choice is made once, when the first kernel runs, and costs every other one what it costs to ask the standard
//! library for a feature: a number is loaded and compared. `nearlin-sketch`, which does not know this crate, has
//! such a file without the matrix unit.

use std::ffi::OsStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// Instruction sets that there are kernels for, each with those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Level {
    /// What every processor of the target has.
    Portable = 1,
    /// AVX2 with fused multiplication and addition.
    Avx2,
    /// The foundation of AVX-512. What else there is of it is asked for where it is used.
    Avx512,
    /// The matrix unit with products of bytes, which the system must permit.
    Amx,
}

/// The highest level that kernels may use; 0 before it is known.
static CHOSEN: AtomicU8 = AtomicU8::new(0);

impl Level {
    /// Whether kernels may use it, which implies that the processor has it.
    #[inline]
    pub(crate) fn on(self) -> bool {
        #[cfg(test)]
        if side_by_side::CAP.get().is_some_and(|cap| self > cap) {
            return false;
        }
        let chosen = CHOSEN.load(Ordering::Relaxed);
        self as u8 <= if chosen == 0 { choose() } else { chosen }
    }

    /// The highest that the processor has, up to a cap.
    fn of_processor(cap: Self) -> Self {
        let avx2 = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
        let avx512 = avx2 && std::is_x86_feature_detected!("avx512f");
        // Not asked for in vain: a process that may use the unit has larger signal frames.
        let found = match cap {
            Self::Amx if avx512 && has_amx() => Self::Amx,
            _ if avx512 => Self::Avx512,
            _ if avx2 => Self::Avx2,
            _ => Self::Portable,
        };
        found.min(cap)
    }

    /// A cap by its name; what names none is no cap.
    fn cap(name: Option<&OsStr>) -> Self {
        match name.and_then(OsStr::to_str) {
            Some("portable") => Self::Portable,
            Some("avx2") => Self::Avx2,
            Some("avx512") => Self::Avx512,
            _ => Self::Amx,
        }
    }
}

/// Whether there is a matrix unit that this process may use.
fn has_amx() -> bool {
    #[cfg(target_os = "linux")]
    return crate::amx::permitted();
    #[cfg(not(target_os = "linux"))]
    false
}

/// Finds the level. Threads that do so at the same time find the same.
#[cold]
fn choose() -> u8 {
    let cap = Level::cap(std::env::var_os("NEARLIN_ISA").as_deref());
    let chosen = Level::of_processor(cap) as u8;
    CHOSEN.store(chosen, Ordering::Relaxed);
    chosen
}

/// The same call at every level.
#[cfg(test)]
pub(crate) mod side_by_side {
    use std::cell::Cell;

    use super::Level;

    thread_local! {
        /// A lower cap for the kernels that this thread calls.
        pub(super) static CAP: Cell<Option<Level>> = const { Cell::new(None) };
    }

    /// What `run` gives with the portable kernels, and with those of each higher level that is on.
    ///
    /// Each on a thread of its own, as threads keep buffers of a level. `run` must not share work with other threads.
    pub(crate) fn at_each_level<R: Send>(run: impl Fn() -> R + Sync) -> (R, Vec<(Level, R)>) {
        let at = |level: Level| {
            let capped = || {
                CAP.set(Some(level));
                run()
            };
            std::thread::scope(|scope| scope.spawn(capped).join().expect("no panic"))
        };
        let higher =
            [Level::Avx2, Level::Avx512, Level::Amx].into_iter().filter(|level| level.on());
        (at(Level::Portable), higher.map(|level| (level, at(level))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::side_by_side::at_each_level;
    use super::*;

    const ALL: [Level; 4] = [Level::Portable, Level::Avx2, Level::Avx512, Level::Amx];

    #[test]
    fn levels_are_capped_by_name() {
        for (cap, name) in ALL.into_iter().zip(["portable", "avx2", "avx512", "amx"]) {
            assert_eq!(Level::cap(Some(OsStr::new(name))), cap, "{name}");
        }
        assert_eq!(Level::cap(None), Level::Amx);
        for name in ["", "AVX2", "avx", "neon", "portable "] {
            assert_eq!(Level::cap(Some(OsStr::new(name))), Level::Amx, "{name:?}");
        }
    }

    #[test]
    fn a_cap_lowers_the_level_and_raises_none() {
        let most = Level::of_processor(Level::Amx);
        assert!(ALL.iter().all(|&cap| Level::of_processor(cap) == most.min(cap)));
    }

    /// Also where the environment caps this very run.
    #[test]
    fn kernels_use_what_the_processor_has_and_the_environment_allows() {
        let cap = Level::cap(std::env::var_os("NEARLIN_ISA").as_deref());
        let most = Level::of_processor(cap);
        for level in ALL {
            assert_eq!(level.on(), level <= most, "{level:?} of {most:?}");
        }
        let on = || ALL.map(Level::on);
        let (portable, higher) = at_each_level(on);
        assert_eq!(portable, [true, false, false, false]);
        assert!(higher.iter().all(|&(level, on)| on == ALL.map(|other| other <= level)));
        assert_eq!(higher.last().map_or(Level::Portable, |&(level, _)| level), most);
    }
}
