//! The products `J v` and `J^T u` of a masked layer: where there is one output and enough to look up through tables of
//! partial sums (see [`tabulated`](crate::tabulated)), or in `f32` on a matrix unit where there is one (`amx`); through
//! tiles in registers otherwise (see [`tiles`]).
//!
//! Row `(i, k)` of `J` is `sum over r of a_rk M_ir (e_r kron x_i)`, scaled by `alpha`. Nothing of size
//! n x m is stored.

use faer::{MatMut, MatRef, Par};

use crate::layer::Layer;
use crate::tiles;
use crate::{DenseError, PackedMask, Real};

/// `y <- alpha J v`: `y_ik = alpha sum over r of a_rk M_ir (x_i . v_r)`.
///
/// `y : n x K`, `mask : n x m`, `x : n x d`, `v : m x d`, `signs = a : m x K`. Takes
/// `2 n m (d + K)` flops, a copy of `x` (and with one output `n m / 768` sums), and fixed buffers; on a matrix
/// unit another half of a copy.
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
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if crate::amx::suits(&layer) {
        crate::amx::apply(layer, y, v, par);
        return Ok(());
    }
    if layer.suits() {
        layer.apply(y, v, par);
    } else {
        tiles::apply(layer, y, v, par);
    }
    Ok(())
}

/// `v <- alpha J^T u`: `v_r = alpha sum over i of M_ir (sum over k of a_rk u_ik) x_i`.
///
/// The adjoint of [`masked_apply`]: `u : n x K`, `v : m x d`, the other operands and flops as there; a
/// copy of `x` and `u`, and a fixed buffer per thread.
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
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if crate::amx::suits(&layer) {
        crate::amx::adjoint(layer, v, u, par);
        return Ok(());
    }
    if layer.suits() {
        layer.adjoint(v, u, par);
    } else {
        tiles::adjoint(layer, v, u, par);
    }
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
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if crate::amx::suits(&layer) {
        crate::amx::gram_apply(layer, y, u, par);
        return Ok(());
    }
    if layer.suits() {
        layer.gram_apply(y, u, par);
    } else {
        tiles::gram_apply(layer, y, u, par);
    }
    Ok(())
}
