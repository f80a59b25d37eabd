//! What one solver would cost: operation counts at a machine's rates.

use super::guess::{Guess, NEWTON, guess, size};
use super::{Candidate, Rates, Shape};
use crate::loss::coupled::numbers;
use crate::options::{Options, Precision, Scale};
use crate::solver::{SolverKind, ranks_tried, sketch_size};

/// Memory that no formula sees: stacks, packing buffers of the matrix products, the allocator, pages of the program.
const OVERHEAD: f64 = 2.5e6;

/// The same of a solver that factors a matrix and solves for one column, and for several; and columns of the matrix that
/// are copied at a time.
const FACTORING: [f64; 2] = [1.2e6, 3.0e6];
const COPIED: f64 = 256.0;

/// Arrays of the parameters beside those of the states: steps, candidates for them, gradients.
const ARRAYS: f64 = 8.0;

/// Masks of a state: its own, one of the directions, which neurons share in pairs at least, and what has flipped. By
/// comparison with whole runs, like these:
pub(super) const MASKS: f64 = 1.75;

/// What a product takes in a run beside one that is timed alone: flips are corrected for, vectors updated, and other things
/// are in the caches.
const WHOLE: f64 = 1.1;

/// What a run takes beside its parts at their quickest, as rates tell them.
pub(super) const IN_TURN: f64 = 1.15;

/// The part that a run of no time takes more, and seconds from which on it hardly does: threads are woken for each part, pages are
/// new, and caches have something else. By comparison with 25 runs of a millisecond to 16 seconds.
const SHORT: (f64, f64) = (0.6, 0.1);

/// Flops of a forward pass in `f64` through tiles, for an example, a neuron, and an input or output, of the part that is left where
/// masks come from a sweep in `f32`; tiles take 1.3 times as long for a flop as products of matrices.
const FORWARD: f64 = 2.1;

/// A factor that takes more iterations than these to build is kept although masks have changed, and a step with a kept one
/// takes so many more.
const DEAR: f64 = 4.0;
const WORN: f64 = 2.0;

/// Factors of a matrix whose smallest eigenvalue is within rounding of the largest: with larger shifts until one succeeds.
const SHIFTED: f64 = 3.0;

/// Bytes up to which a C library keeps what was freed for what is allocated next, glibc's largest threshold: a matrix that is
/// made anew, as its factor failed or, without a ridge, masks have changed, finds the room of the last one in parts.
const KEPT: f64 = 33_554_432.0;

/// What a product with a tall factor takes beside reading as much of a triangular one, whose blocks wait for one another.
const TALL: f64 = 0.65;

/// Flops of a Nyström approximation of rank `k` beside its products, as parts of `n k^2` and of `k^3`, and products for an
/// estimate of what it leaves.
const EIGENPAIRS: (f64, f64) = (13.0, 22.0);
const NORM: f64 = 10.0;

/// Forward passes in the search for a scale, with a ridge and without one; and with so many parameters for each equation, whose
/// masks hardly change.
const TRIED: [f64; 2] = [4.0, 5.0];
const TRIED_WIDE: [f64; 2] = [3.0, 2.0];
const WIDE: f64 = 100.0;

pub(super) fn candidate(
    kind: SolverKind,
    shape: &Shape,
    options: &Options,
    steps: usize,
    rates: &Rates,
) -> Candidate {
    let (n, d, k) = (shape.rows as f64, shape.inputs as f64, shape.outputs as f64);
    let m = options.width as f64;
    let parameters = options.width * shape.inputs;
    let most = sketch_size(kind, options.sketch_rows, shape.rows, parameters) as f64;
    let rank = size(kind, shape, options) as f64;
    let (size, rounding, speeds) = match options.precision {
        Precision::F64 => (8.0, f64::EPSILON / 2.0, &rates.double),
        Precision::F32 => (4.0, f64::from(f32::EPSILON) / 2.0, &rates.single),
    };
    let shifts = shifts(shape, options, rounding);
    let cholesky = |n: f64| n * n * speeds.cholesky.at(n);
    let products = n * n * d / speeds.product;
    let qr = (2.0 * n * n * (rank - n / 3.0).max(0.0)
        + if options.ridge > 0.0 { 10.0 / 3.0 * n * n * n } else { 0.0 })
        / speeds.qr;
    let padded = (parameters as f64).log2().ceil().exp2();
    let padded_pair = m.log2().ceil().exp2() * m.log2().ceil() + rank;
    // `J J^T u`; in `f64` for the residual and the certificate, two passes each.
    let product = |speeds: &super::Speeds, outputs: f64| {
        let (line, inputs) =
            if outputs > 1.0 { (speeds.outputs, d + outputs) } else { (speeds.one_output, d) };
        n * m * line.at(inputs) + rates.begin.at(n)
    };
    let (pass, exact) = (WHOLE * product(speeds, k), WHOLE * product(&rates.double, k));
    let build = match kind {
        SolverKind::Cg => 0.0,
        SolverKind::Cholesky => shifts * (products + n * n * rates.gram.at(m) + cholesky(n)),
        SolverKind::ArcCosine => shifts * (products + n * n / 2.0 / rates.arc_cosine + cholesky(n)),
        // The factor, its square and the solve with that.
        SolverKind::RpCholesky => {
            3.0 * n * rank * rank / speeds.low_rank + n * rank / rates.arc_cosine
        }
        // Pairs of a row and a column once each, which in the whole matrix are counted twice.
        SolverKind::RpGram => {
            3.0 * n * rank * rank / speeds.low_rank + 2.0 * n * rank * rates.gram.at(m)
        }
        SolverKind::Nystrom => {
            let tried =
                ranks_tried(most as usize).take_while(|tried| *tried as f64 <= rank).count();
            let flops = EIGENPAIRS.0 * n * rank * rank + EIGENPAIRS.1 * rank * rank * rank;
            (rank + NORM * tried as f64) * product(speeds, 1.0) + flops / speeds.low_rank
        }
        SolverKind::Srht => n * padded * padded.log2() / speeds.additions + qr,
        SolverKind::TensorSrht => n * padded_pair / speeds.additions + qr,
    };
    // Outputs and masks through tiles, and where it matters a gradient.
    let forward = FORWARD * n * m * (d + k) / rates.double.product + exact / 2.0;
    let factor_read = match kind {
        SolverKind::Cg => 0.0,
        SolverKind::RpCholesky | SolverKind::RpGram | SolverKind::Nystrom => {
            TALL * (2.0 * size * n * rank / speeds.read).max(4.0 * n * rank * k / speeds.product)
        }
        _ => (size * n * n / speeds.read).max(2.0 * n * n * k / speeds.product),
    };
    let Guess { mut iterations, mut builds, retried } = guess(kind, shape, options, steps);
    if builds > 1 {
        // Masks hardly change after the first step, unless steps are taken back.
        if build > DEAR * (pass + factor_read) {
            builds = 1;
            iterations += WORN;
        }
        builds += retried.round() as usize;
    }
    // Under a loss with corners, a factor for each system, of the rows that have a curvature.
    let (pass, refactor) = match kind {
        _ if !shape.corners => (pass, 0.0),
        SolverKind::Cholesky if shape.outputs == 1 => {
            (8.0 * n * n / rates.double.read, NEWTON * cholesky(0.5 * n))
        }
        SolverKind::RpCholesky | SolverKind::RpGram => {
            (pass, NEWTON * n * rank * rank / speeds.low_rank)
        }
        _ => (pass, NEWTON * k * cholesky(0.5 * n)),
    };
    let step = iterations * (pass + factor_read) + refactor + 2.0 * exact;
    // Looking for a scale takes forward passes, of which each ends with a gradient, and a step that is not kept.
    let tried = match options.scale {
        Scale::Auto if m * d > WIDE * n => TRIED_WIDE[usize::from(options.ridge == 0.0)],
        Scale::Auto => TRIED[usize::from(options.ridge == 0.0)],
        Scale::Fixed(_) => 1.0,
    };
    let passes = (steps as f64 + retried + tried) * (forward + rates.parameter * m * d);
    let dense = matches!(kind, SolverKind::Cholesky | SolverKind::ArcCosine);
    let again = dense && (shifts > 1.0 || builds > 1 && options.ridge == 0.0);
    let kept = if again && size * n * n <= KEPT { size * n * n } else { 0.0 };
    let factor_bytes = kept + factor_bytes(kind, shape, options, size, (rank, most));
    // Of a state and one that is tried; while a scale is looked for of another one, and of the initial one.
    let states = if options.scale == Scale::Auto { 4.0 } else { 2.0 };
    let masks = MASKS * states * n * (m / 64.0).ceil() * 8.0;
    // Scratch of a pass: the inputs twice and a sum for each 768 neurons or so; with several outputs m x d where neurons share
    // directions, and residuals and sums of classes.
    let several = if shape.outputs > 1 { m * d + 4.0 * n * k } else { 0.0 };
    let scratch = n * (2.0 * d + m / 768.0) + several;
    let vectors = 8.0 * ((ARRAYS + states) * m * d + 10.0 * n * k) + size * (scratch + 5.0 * n * k);
    let inputs = 8.0 * 3.0 * n * (d + k);
    let buffer = if kind == SolverKind::Srht { padded * size } else { 0.0 };
    let tiles = rates.threads as f64 * (2.0 * 128.0 * 256.0 * 8.0 + buffer);
    let seconds =
        IN_TURN * (builds as f64 * build + (steps as f64 + 1.0 + retried) * step + passes);
    let short = SHORT.0 / (1.0 + (seconds / SHORT.1).powi(2));
    Candidate {
        solver: kind,
        predicted_seconds: (1.0 + short) * seconds,
        predicted_bytes: OVERHEAD + factor_bytes + masks + vectors + inputs + tiles,
        build_seconds: build,
        builds,
        iterations,
        iteration_seconds: pass + factor_read,
    }
}

/// Bytes of a factor of that rank, or of the highest, in numbers of `size` bytes, and of what makes it.
fn factor_bytes(
    kind: SolverKind,
    shape: &Shape,
    options: &Options,
    size: f64,
    (rank, most): (f64, f64),
) -> f64 {
    let n = shape.rows as f64;
    let factor = match kind {
        SolverKind::Cg => return 0.0,
        // Under corners also of what is factored.
        SolverKind::Cholesky | SolverKind::ArcCosine if shape.corners => 2.0 * size * n * n,
        SolverKind::Cholesky | SolverKind::ArcCosine => size * n * n,
        // With its square and the factor of that.
        // As if the rank were the highest: a guess too low would end in a lack of memory.
        SolverKind::RpCholesky | SolverKind::RpGram => size * (n * most + 2.0 * most * most),
        // With test vectors and images while it is made, and where the rank is near the rows eigenvectors and their room; by
        // comparison with runs of 500 to 1,000,000 rows.
        SolverKind::Nystrom => size * (3.4 * n * most + 6.6 * most * most),
        SolverKind::Srht | SolverKind::TensorSrht => {
            let stacked = if options.ridge > 0.0 { 3.0 * n * n } else { 0.0 };
            size * (rank * n + n * n).max(stacked)
        }
    };
    // Of the matrix that a Nyström approximation is of no entry is known.
    let copied = match kind {
        SolverKind::Nystrom => 0.0,
        SolverKind::RpCholesky | SolverKind::RpGram => most.min(COPIED) * size * n,
        _ => n.min(COPIED) * size * n,
    };
    let shared = if shape.coupled { numbers(kind, (shape.rows, shape.outputs)) } else { 0.0 };
    8.0 * shared + factor + FACTORING[usize::from(shape.outputs > 1)] + copied
}

/// How often a matrix is factored until a factor is found.
fn shifts(shape: &Shape, options: &Options, rounding: f64) -> f64 {
    // The largest eigenvalue is some quarter of the rows.
    let largest = shape.rows as f64 / 4.0;
    if options.ridge + shape.least_eigenvalue < rounding * largest { SHIFTED } else { 1.0 }
}
