//! Ridges for squared errors, judged by as many rows as are asked for.

use nearlin::{Equations, Options, RidgePath, TrainError, refine_ridge, ridge_path};

use crate::program::args::RidgeRows;

/// The path of ridges, or where all equations shall judge and only some did, that of all around its best.
///
/// # Errors
/// [`TrainError`] as of [`ridge_path`].
pub(super) fn ridges(
    equations: &Equations,
    options: &Options,
    rows: RidgeRows,
) -> Result<RidgePath, TrainError> {
    let path = ridge_path(equations, options)?;
    if rows == RidgeRows::Some || path.rows == equations.rows() {
        return Ok(path);
    }
    let found = refine_ridge(equations, &options.ridge(path.ridge()))?;
    Ok(found.unwrap_or(path))
}
