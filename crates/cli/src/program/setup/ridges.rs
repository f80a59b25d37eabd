//! Ridges for squared errors, judged by as many rows as are asked for.

use nearlin::{Criterion, Equations, Options, RidgePath, TrainError, refine_ridge, ridge_path};

use crate::program::args::RidgeRows;

/// The path of ridges, or where all equations shall judge and only some did, that of all around its best. What leave-one-out
/// says of a part stays: it decides where generalised cross-validation would go on to ever smaller ridges.
///
/// # Errors
/// [`TrainError`] as of [`ridge_path`].
pub(super) fn ridges(
    equations: &Equations,
    options: &Options,
    rows: RidgeRows,
) -> Result<RidgePath, TrainError> {
    let path = ridge_path(equations, options)?;
    let surer = path.criterion == Criterion::LeaveOneOut;
    if rows == RidgeRows::Some || surer || path.rows == equations.rows() {
        return Ok(path);
    }
    let found = refine_ridge(equations, &options.ridge(path.ridge()))?;
    Ok(found.unwrap_or(path))
}
