//! Options that do not go together, whatever the table.

use nearlin::SolverKind;

use crate::program::args::{FitArgs, RidgeRows};
use crate::program::error::ProgramError;

/// Refuses a picture of a metric where none is learned, rows that judge ridges where one is given, and rows of a sketch for
/// a solver without one.
///
/// # Errors
/// [`ProgramError::NoMetric`], [`ProgramError::NoRidges`], [`ProgramError::NoSketch`].
pub(super) fn check_options(args: &FitArgs) -> Result<(), ProgramError> {
    if args.importance_plot.is_some() && args.metric_forms().is_none() {
        return Err(ProgramError::NoMetric);
    }
    if args.ridge_rows == RidgeRows::All && args.ridge.0.is_some() {
        return Err(ProgramError::NoRidges);
    }
    match args.solver.0 {
        Some(solver) if args.sketch_rows.is_some() && !has_sketch(solver) => {
            Err(ProgramError::NoSketch { solver })
        }
        _ => Ok(()),
    }
}

/// Whether a solver has rows of a sketch, or a rank.
fn has_sketch(solver: SolverKind) -> bool {
    use SolverKind::{ArcCosine, Cg, Cholesky};
    !matches!(solver, Cholesky | ArcCosine | Cg)
}
