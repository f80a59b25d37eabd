//! The scalar types: `f32` and `f64`.

use std::cell::RefCell;

use faer::traits::RealField;
use num_traits::Float;

mod sealed {
    #[cfg(target_arch = "x86_64")]
    use crate::tiles::Wide;
    use crate::tiles::{Plain, Vector};

    pub trait Sealed: Sized {
        /// The vector that every machine has.
        type Plain: Vector<Self>;
        /// The vector of AVX2.
        #[cfg(target_arch = "x86_64")]
        type Avx2: Vector<Self>;
        /// The vector of AVX-512.
        #[cfg(target_arch = "x86_64")]
        type Avx512: Vector<Self>;
    }

    impl Sealed for f32 {
        type Plain = Plain<Self, 8>;
        #[cfg(target_arch = "x86_64")]
        type Avx2 = Wide<std::arch::x86_64::__m256>;
        #[cfg(target_arch = "x86_64")]
        type Avx512 = Wide<std::arch::x86_64::__m512>;
    }

    impl Sealed for f64 {
        type Plain = Plain<Self, 4>;
        #[cfg(target_arch = "x86_64")]
        type Avx2 = Wide<std::arch::x86_64::__m256d>;
        #[cfg(target_arch = "x86_64")]
        type Avx512 = Wide<std::arch::x86_64::__m512d>;
    }
}

/// A real scalar that every kernel supports: `f32` or `f64`.
///
/// [`RealField`] gives faer's kernels, [`Float`] the elementary functions.
pub trait Real: RealField + Float + Send + Sync + 'static + sealed::Sealed {
    /// Name of the type, `"f32"` or `"f64"`.
    const NAME: &'static str;

    /// Row `b` holds the eight bits of the byte `b`, lowest first, as 0 or 1.
    ///
    /// A look-up of 8 scalars turns a packed mask into factors without shifts; the table stays in
    /// the first-level cache (8 or 16 KiB).
    const BYTE_MASKS: &'static [[Self; 8]; 256];

    /// The nearest scalar to `x`.
    fn of(x: f64) -> Self;

    /// This scalar as `f64`, exactly.
    fn as_f64(self) -> f64;

    /// Runs `body` on `len` scalars of arbitrary contents that start at a line of the cache, from a
    /// buffer that this thread keeps between calls, so that iterations need not allocate. Calls may
    /// be nested.
    fn with_buffer<R>(len: usize, body: impl FnOnce(&mut [Self]) -> R) -> R;
}

macro_rules! real {
    ($t:ty, $name:literal) => {
        impl Real for $t {
            const NAME: &'static str = $name;

            const BYTE_MASKS: &'static [[Self; 8]; 256] = &{
                let mut table = [[0.0; 8]; 256];
                let mut byte = 0;
                while byte < 256 {
                    let mut bit = 0;
                    while bit < 8 {
                        if byte >> bit & 1 == 1 {
                            table[byte][bit] = 1.0;
                        }
                        bit += 1;
                    }
                    byte += 1;
                }
                table
            };

            fn of(x: f64) -> Self {
                x as $t
            }

            fn as_f64(self) -> f64 {
                f64::from(self)
            }

            fn with_buffer<R>(len: usize, body: impl FnOnce(&mut [Self]) -> R) -> R {
                thread_local! {
                    static IDLE: RefCell<Vec<Vec<$t>>> = const { RefCell::new(Vec::new()) };
                }
                // Numbers that may be skipped to reach a whole line of the cache.
                const SLACK: usize = 64 / size_of::<$t>();
                // Taken out while in use: a nested call takes the next one, or makes it.
                let mut buffer = IDLE.with_borrow_mut(Vec::pop).unwrap_or_default();
                if buffer.len() < len + SLACK {
                    buffer.resize(len + SLACK, 0.0);
                }
                let skip = buffer.as_ptr().align_offset(64).min(SLACK);
                let result = body(&mut buffer[skip..skip + len]);
                IDLE.with_borrow_mut(|idle| idle.push(buffer));
                result
            }
        }
    };
}

real!(f32, "f32");
real!(f64, "f64");
