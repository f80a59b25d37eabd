//! The scalar types: `f32` and `f64`.

use std::cell::Cell;

use faer::traits::RealField;
use num_traits::Float;

/// A real scalar that sketches work in: `f32` or `f64`.
pub trait Scalar: crate::simd::Transform + RealField + Float + Send + Sync + 'static {
    /// The nearest scalar to `x`.
    fn of(x: f64) -> Self;

    /// Runs `body` on `len` scalars of arbitrary contents, from a buffer that this thread keeps
    /// between calls.
    fn with_buffer<R>(len: usize, body: impl FnOnce(&mut [Self]) -> R) -> R;
}

/// `x` in double precision.
pub(crate) fn wide<T: Scalar>(x: T) -> f64 {
    num_traits::ToPrimitive::to_f64(&x).unwrap_or(f64::NAN)
}

macro_rules! scalar {
    ($t:ty) => {
        impl Scalar for $t {
            fn of(x: f64) -> Self {
                x as $t
            }

            fn with_buffer<R>(len: usize, body: impl FnOnce(&mut [Self]) -> R) -> R {
                thread_local! {
                    static BUFFER: Cell<Vec<$t>> = const { Cell::new(Vec::new()) };
                }
                // Taken out while in use: a nested call finds an empty one and allocates.
                let mut buffer = BUFFER.take();
                if buffer.len() < len {
                    buffer.resize(len, 0.0);
                }
                let result = body(&mut buffer[..len]);
                BUFFER.set(buffer);
                result
            }
        }
    };
}

scalar!(f32);
scalar!(f64);
