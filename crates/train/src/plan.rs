//! The planner: what each solver would cost, and which one to take.
//!
//! Costs are the flop counts of each part divided by rates of common machines. The rates are
//! deliberately few; they rank solvers, they do not promise seconds.

use crate::Equations;
use crate::options::{Options, Precision, Scale};
use crate::solver::{SolverKind, sketch_size};

/// The size of a problem: all that costs depend on.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Shape {
    /// Equations `n`, after merging.
    pub rows: usize,
    /// Inputs `d`.
    pub inputs: usize,
    /// Outputs `K`.
    pub outputs: usize,
    /// Threads that work.
    pub threads: usize,
}

impl Shape {
    /// The shape of `equations`, with the threads of `options`.
    #[must_use]
    pub fn new(equations: &Equations, options: &Options) -> Self {
        let (rows, inputs, outputs) = (equations.rows(), equations.inputs(), equations.outputs());
        Self::of(rows, inputs, outputs, options.par.degree())
    }

    /// A shape from its numbers: `n` equations, `d` inputs, `K` outputs.
    #[must_use]
    pub fn of(rows: usize, inputs: usize, outputs: usize, threads: usize) -> Self {
        Self { rows, inputs, outputs, threads }
    }
}

/// What one solver would cost.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The solver.
    pub solver: SolverKind,
    /// Seconds for a run of [`Plan::steps`] steps.
    pub predicted_seconds: f64,
    /// Bytes at the high-water mark of training, beside what the process holds before.
    pub predicted_bytes: f64,
    /// Seconds to build the preconditioner once.
    pub build_seconds: f64,
    /// Times it is built.
    pub builds: usize,
    /// Guessed iterations of the inner solver in a step.
    pub iterations: f64,
    /// Seconds for one iteration.
    pub iteration_seconds: f64,
}

/// The choice, and what it was chosen from.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The solver to use.
    pub chosen: SolverKind,
    /// Why, in a sentence.
    pub reason: String,
    /// Steps that the predictions are for.
    pub steps: usize,
    /// All solvers, cheapest first.
    pub candidates: Vec<Candidate>,
}

impl Plan {
    /// The same candidates, of which the cheapest is taken that needs at most `bytes`; the choice as it is where none
    /// needs so few.
    #[must_use]
    pub fn within(self, bytes: f64) -> Self {
        let fits = |candidate: &&Candidate| candidate.predicted_bytes <= bytes;
        let Some(best) = self.candidates.iter().find(fits) else { return self };
        let cheaper: Vec<&str> = (self.candidates.iter())
            .take_while(|candidate| candidate.solver != best.solver)
            .map(|candidate| candidate.solver.name())
            .collect();
        if cheaper.is_empty() {
            return self;
        }
        let next = self.candidates.iter().filter(fits).nth(1);
        let verb = if cheaper.len() == 1 { "needs" } else { "need" };
        let reason = format!(
            "{}; {} {verb} more than {:.2} GiB",
            explain(best, next),
            cheaper.join(" and "),
            bytes.max(0.0) / f64::from(1 << 30)
        );
        Self { chosen: best.solver, reason, ..self }
    }
}

/// Rates of one thread in `f64`, in operations a second; `f32` doubles those of arithmetic.
mod rates {
    /// Matrix products, and masked passes through tiles of them.
    pub(super) const PASS: f64 = 4.0e10;
    /// Masked passes by table look-up, which one output allows.
    pub(super) const TABULATED: f64 = 1.2e11;
    /// Cholesky factorisation.
    pub(super) const CHOLESKY: f64 = 4.0e10;
    /// Householder QR, which scales less with threads.
    pub(super) const QR: f64 = 3.0e10;
    /// Bits of the popcount Gram matrix.
    pub(super) const POPCOUNT: f64 = 5.0e11;
    /// Additions of the Walsh-Hadamard transform.
    pub(super) const FWHT: f64 = 2.5e9;
    /// Arc cosines.
    pub(super) const ACOS: f64 = 6.0e7;
    /// Bytes of a triangular factor that is read from memory, all threads together.
    pub(super) const MEMORY: f64 = 1.2e10;
}

/// Memory that no formula sees: stacks, packing buffers of the matrix products, the allocator.
const OVERHEAD: f64 = 1.0e6;

/// Ranks the solvers for a problem and takes the cheapest.
#[must_use]
pub fn plan(shape: &Shape, options: &Options) -> Plan {
    let steps = if options.ridge > 0.0 { 6 } else { 8 }.min(options.max_steps);
    let mut candidates: Vec<Candidate> =
        SolverKind::ALL.iter().map(|&kind| candidate(kind, shape, options, steps)).collect();
    candidates.sort_by(|a, b| a.predicted_seconds.total_cmp(&b.predicted_seconds));
    let cheapest = &candidates[0];
    let chosen = options.solver.unwrap_or(cheapest.solver);
    let reason = match options.solver {
        Some(solver) if solver == cheapest.solver => {
            format!("{solver} was asked for, and is the cheapest")
        }
        Some(solver) => {
            format!("{solver} was asked for; {} would be the cheapest", cheapest.solver)
        }
        None => explain(cheapest, candidates.get(1)),
    };
    Plan { chosen, reason, steps, candidates }
}

fn explain(best: &Candidate, next: Option<&Candidate>) -> String {
    let iterations = match best.iterations.round() {
        1.0 => "1 iteration a step".to_owned(),
        many => format!("{many} iterations a step"),
    };
    let work = if best.builds == 0 {
        format!("nothing to build and {iterations}")
    } else {
        let times = if best.builds == 1 { "once".into() } else { format!("{} times", best.builds) };
        let build = best.build_seconds;
        let build =
            if build < 0.1 { format!("{:.1} ms", 1e3 * build) } else { format!("{build:.1} s") };
        format!("a factor built {times} at {build} and {iterations}")
    };
    let than = next.map_or(String::new(), |next| {
        let ratio = next.predicted_seconds / best.predicted_seconds;
        format!(", {ratio:.1} times cheaper than {}", next.solver)
    });
    format!("{} needs {work}{than}", best.solver)
}

fn candidate(kind: SolverKind, shape: &Shape, options: &Options, steps: usize) -> Candidate {
    let (n, d, k) = (shape.rows as f64, shape.inputs as f64, shape.outputs as f64);
    let m = options.width as f64;
    let parameters = options.width * shape.inputs;
    let sketch = sketch_size(kind, options.sketch_rows, shape.rows, parameters);
    let (s, rank) = (sketch as f64, sketch as f64);
    let (size, speed) = match options.precision {
        Precision::F64 => (8.0, 1.0),
        Precision::F32 => (4.0, 2.0),
    };
    let threads = shape.threads.max(1) as f64;
    let (arithmetic, few) = (speed * threads, speed * threads.sqrt());

    let gemm = n * n * d / (rates::PASS * arithmetic);
    let cholesky = n * n * n / 3.0 / (rates::CHOLESKY * arithmetic);
    let qr = 2.0 * n * n * (s - n / 3.0).max(0.0) / (rates::QR * few)
        + if options.ridge > 0.0 { 10.0 / 3.0 * n * n * n / (rates::QR * few) } else { 0.0 };
    let padded = (parameters as f64).log2().ceil().exp2();
    let padded_pair = m.log2().ceil().exp2() * m.log2().ceil() + s;
    let build = match kind {
        SolverKind::Cg => 0.0,
        SolverKind::Cholesky => gemm + n * n * m / 2.0 / (rates::POPCOUNT * threads) + cholesky,
        SolverKind::ArcCosine => gemm + n * n / 2.0 / (rates::ACOS * threads) + cholesky,
        // The factor, its square and the solve with that.
        SolverKind::RpCholesky => {
            3.0 * n * rank * rank / (rates::PASS * arithmetic) + n * rank / (rates::ACOS * threads)
        }
        SolverKind::Srht => n * padded * padded.log2() / (rates::FWHT * arithmetic) + qr,
        SolverKind::TensorSrht => n * padded_pair / (rates::FWHT * arithmetic) + qr,
    };
    let pass = if shape.outputs > 1 {
        4.0 * n * m * (d + k) / (rates::PASS * arithmetic)
    } else {
        4.0 * n * m * d / (rates::TABULATED * arithmetic)
    };
    let factor_read = match kind {
        SolverKind::Cg => 0.0,
        SolverKind::RpCholesky => (2.0 * size * n * rank / rates::MEMORY)
            .max(4.0 * n * rank * k / (rates::PASS * arithmetic)),
        _ => (size * n * n / rates::MEMORY).max(2.0 * n * n * k / (rates::PASS * arithmetic)),
    };
    let (iterations, builds) = guess(kind, shape, options, steps);
    // Two passes beside the iterations: the true residual and the certificate.
    let step = iterations * (pass + factor_read)
        + 2.0 * pass
        + 3.0 * n * m * d / (rates::PASS * arithmetic);
    let factor_bytes = match kind {
        SolverKind::Cg => 0.0,
        SolverKind::Cholesky | SolverKind::ArcCosine => size * n * n,
        SolverKind::RpCholesky => size * n * rank,
        SolverKind::Srht | SolverKind::TensorSrht => {
            let stacked = if options.ridge > 0.0 { 3.0 * n * n } else { 0.0 };
            size * (s * n + n * n).max(stacked)
        }
    };
    // Of two states, and of the initial one while a scale is looked for.
    let states = if options.scale == Scale::Auto { 3.0 } else { 2.0 };
    let masks = states * n * (m / 64.0).ceil() * 8.0;
    // Scratch of a pass: m x d for tiles; for tables the inputs twice and a sum for each 768 neurons at most.
    let scratch = if shape.outputs > 1 { m * d } else { n * (2.0 * d + m / 768.0) };
    let vectors = 8.0 * ((4.0 + states) * m * d + 10.0 * n * k) + size * (scratch + 5.0 * n * k);
    let inputs = 8.0 * 3.0 * n * (d + k);
    let tiles = threads
        * (2.0 * 128.0 * 256.0 * 8.0 + padded * if kind == SolverKind::Srht { size } else { 0.0 });
    Candidate {
        solver: kind,
        predicted_seconds: builds as f64 * build + steps as f64 * step,
        predicted_bytes: OVERHEAD + factor_bytes + masks + vectors + inputs + tiles,
        build_seconds: build,
        builds,
        iterations,
        iteration_seconds: pass + factor_read,
    }
}

/// Iterations a step and builds a run, from the runs in docs/benchmarks: what a factor leaves of the
/// condition number, and for several outputs the cross terms that no block factor sees.
fn guess(kind: SolverKind, shape: &Shape, options: &Options, steps: usize) -> (f64, usize) {
    let ridge = options.ridge;
    // The largest eigenvalue is near n / 4; below a ridge nothing counts.
    let condition = (shape.rows as f64 / 4.0 / ridge.max(1e-4)).max(1.0);
    let crossed = |alone: f64| match (shape.outputs > 1, ridge >= 1e-2) {
        (false, _) => alone,
        (true, true) => alone + 10.0,
        (true, false) => alone + 25.0,
    };
    match kind {
        SolverKind::Cg => (0.6 * condition.sqrt(), 0),
        SolverKind::Cholesky => (crossed(1.0), steps),
        SolverKind::Srht | SolverKind::TensorSrht => (crossed(9.0), steps),
        SolverKind::ArcCosine => (crossed(16.0), 1),
        SolverKind::RpCholesky => {
            // Eigenvalues fall like a power, as they did on diamonds; those beyond the rank are the factor's error. More
            // than was measured at small ridges: 55 iterations at 1e-5 on 8,000 rows, 88 and 292 without one.
            let rank = sketch_size(kind, options.sketch_rows, shape.rows, 0);
            let beyond = if rank < shape.rows {
                shape.rows as f64 / 4.0 * (rank as f64).powf(-1.75)
            } else {
                0.0
            };
            (crossed(16.0 * (1.0 + beyond / ridge.max(1e-6)).sqrt()), 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The less memory, the fewer candidates; the cheapest of those that are left is taken.
    #[test]
    fn a_budget_rules_out_what_needs_more() {
        let options = Options::default().ridge(0.1);
        let free = plan(&Shape::of(20_000, 30, 1, 2), &options);
        assert_eq!(free.clone().within(f64::INFINITY), free);
        assert_eq!(free.clone().within(1.0), free, "nothing needs one byte");
        for limit in &free.candidates {
            let within = free.clone().within(limit.predicted_bytes);
            let chosen = within.candidates.iter().find(|c| c.solver == within.chosen).unwrap();
            assert!(chosen.predicted_bytes <= limit.predicted_bytes);
            assert!(chosen.predicted_seconds <= limit.predicted_seconds);
            assert!(
                (within.chosen == free.chosen) || within.reason.contains("more than"),
                "{}",
                within.reason
            );
        }
    }

    /// Memory of low rank grows like the rows, that of a factor like their square.
    #[test]
    fn low_rank_is_for_many_rows() {
        let chosen =
            |rows| plan(&Shape::of(rows, 30, 1, 2), &Options::default().ridge(0.01)).chosen;
        assert_eq!(chosen(500), SolverKind::Cholesky);
        assert_eq!(chosen(100_000), SolverKind::RpCholesky);
        let bytes = |rows, kind| {
            let plan = plan(&Shape::of(rows, 30, 1, 2), &Options::default().width(64));
            plan.candidates.iter().find(|c| c.solver == kind).unwrap().predicted_bytes
        };
        let growth = |kind| bytes(80_000, kind) / bytes(40_000, kind);
        assert!(growth(SolverKind::RpCholesky) < 2.1 && growth(SolverKind::ArcCosine) > 3.9);
    }
}
