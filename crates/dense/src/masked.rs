//! The products `J v` and `J^T u` of a masked layer: where there is one output, or few different rows of output weights (see
//! [`classes`](crate::classes)), and enough to look up through tables of partial sums (see [`tabulated`](crate::tabulated)), or
//! in `f32` on a matrix unit where there is one (`amx`); through tiles in registers otherwise (see [`tiles`]).
//!
//! Row `(i, k)` of `J` is `sum over r of a_rk M_ir (e_r kron x_i)`, scaled by `alpha`. Nothing of size
//! n x m is stored.

use faer::{MatMut, MatRef, Par};

use crate::classes::Classed;
use crate::layer::Layer;
use crate::tiles;
use crate::{DenseError, PackedMask, Real};

/// `y <- alpha J v`: `y_ik = alpha sum over r of a_rk M_ir (x_i . v_r)`.
///
/// `y : n x K`, `mask : n x m`, `x : n x d`, `v : m x d`, `signs = a : m x K`. Takes
/// `2 n m (d + K)` flops, a copy of `x`, and fixed buffers. Where the rows of `a` are one of few, up to their sign, for
/// 64 neurons side by side or more on average (rows of a Hadamard matrix, say), it takes `2 n m d` at up to four times that
/// rate, and `n` sums for each of them and for each 256 to 3,072 neurons. On a matrix unit, in `f32`, numbers of `v` are rounded by up
/// to about a 2^23th of the largest of their column, with three bytes for each number of a chunk beside the rest.
///
/// # Errors
/// [`DenseError::Shape`] if the operands do not fit together.
pub fn masked_apply<T: Real>(
    y: MatMut<'_, T>,
    mask: &PackedMask,
    x: MatRef<'_, T>,
    v: MatRef<'_, T>,
    signs: MatRef<'_, T>,
    alpha: T,
    par: Par,
) -> Result<(), DenseError> {
    let layer = Layer::new(mask, x, signs, alpha)?;
    layer.check_vector(v)?;
    layer.check_outputs("output", y.as_ref())?;
    let Some(classed) = Classed::of(layer) else {
        tiles::apply(layer, y, v, par);
        return Ok(());
    };
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if crate::amx::suits(&classed) {
        crate::amx::apply(&classed, y, v, par);
        return Ok(());
    }
    classed.apply(y, v, par);
    Ok(())
}

/// `v <- alpha J^T u`: `v_r = alpha sum over i of M_ir (sum over k of a_rk u_ik) x_i`.
///
/// The adjoint of [`masked_apply`]: `u : n x K`, `v : m x d`, the other operands and flops as there; a
/// copy of `x` and `u`, and a fixed buffer per thread. On a matrix unit, in `f32`, the `u_ik x_i` are rounded as `v` is there, and take
/// three bytes each for a class of output weights under way, of inputs in sixteens.
///
/// # Errors
/// [`DenseError::Shape`] if the operands do not fit together.
pub fn masked_adjoint<T: Real>(
    v: MatMut<'_, T>,
    mask: &PackedMask,
    x: MatRef<'_, T>,
    u: MatRef<'_, T>,
    signs: MatRef<'_, T>,
    alpha: T,
    par: Par,
) -> Result<(), DenseError> {
    let layer = Layer::new(mask, x, signs, alpha)?;
    layer.check_vector(v.as_ref())?;
    layer.check_outputs("residual", u)?;
    let Some(classed) = Classed::of(layer) else {
        tiles::adjoint(layer, v, u, par);
        return Ok(());
    };
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if crate::amx::suits(&classed) {
        crate::amx::adjoint(&classed, v, u, par);
        return Ok(());
    }
    classed.adjoint(v, u, par);
    Ok(())
}

/// `y <- alpha^2 J J^T u`: [`masked_adjoint`] and [`masked_apply`] in one sweep over the neurons, so that
/// nothing of size m x d is stored.
///
/// `y, u : n x K`, the other operands as in [`masked_apply`], and the cost of both.
///
/// # Errors
/// [`DenseError::Shape`] if the operands do not fit together.
#[allow(clippy::too_many_arguments, reason = "the operands of the two products")]
pub fn masked_gram_apply<T: Real>(
    y: MatMut<'_, T>,
    mask: &PackedMask,
    x: MatRef<'_, T>,
    u: MatRef<'_, T>,
    signs: MatRef<'_, T>,
    alpha: T,
    par: Par,
) -> Result<(), DenseError> {
    let layer = Layer::new(mask, x, signs, alpha)?;
    layer.check_outputs("residual", u)?;
    layer.check_outputs("output", y.as_ref())?;
    let Some(classed) = Classed::of(layer) else {
        tiles::gram_apply(layer, y, u, par);
        return Ok(());
    };
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if crate::amx::suits(&classed) {
        crate::amx::gram_apply(&classed, y, u, par);
        return Ok(());
    }
    classed.gram_apply(y, u, par);
    Ok(())
}
