//! Newton's method for a convex loss of outputs that are linear in the multipliers.
//!
//! Over weight changes `J^T a` the objective is
//!
//! `sum over i of w_i l(f_i, y_i) + mu a^T G a / 2`, `f = f_0 + G a`, `G = J J^T`.
//!
//! With `g` the weighted slopes of the loss and `rho = g + mu a`, the gradient with respect to the weights
//! is `J^T rho`, whose squared norm is `rho^T G rho`. With `R R^T` the curvature, Newton's change of the
//! multipliers is `-(rho + R q) / mu`, where
//!
//! `(mu I + R^T G R) q = -R^T G rho`
//!
//! is symmetric and positive definite however flat the loss, and is solved by conjugate gradients, more
//! accurately as the gradient falls (Dembo, Eisenstat and Steihaug, *Inexact Newton methods*, 1982). What
//! they leave, `e`, makes a gradient of `J^T R e / mu`: of a quadratic loss, up to `|J|^2 / mu` times the
//! gradient for each part of the right-hand side that is left, so that much less is left. The
//! minimum along a step is found by its slope, which rises with the length: no step raises the objective.
//! The objective is `mu`-strongly convex in the weights, so it exceeds its minimum by at most
//! `rho^T G rho / (2 mu)`: a certificate that needs no second solve.

use core::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::{Mat, MatMut, MatRef, Par};
use nearlin_dense::clear_upper;
use nearlin_krylov::{Cg, Ending as InnerEnding, LinOp, Precond, Report, Step};

use super::Loss;
use super::blocks::Blocks;
use super::curvature::{Curvature, System, column, dot};
use crate::TrainError;
use crate::observe::{Event, Observer};
use crate::report::Ending;

/// Most Newton steps of one envelope of the loss.
const MAX_STEPS: usize = 100;

/// Least accurate inner solve.
const LOOSE: f64 = 0.1;

/// Iterations of an inner solve after which a preconditioner that knows the curvature is made.
const PATIENT: usize = 16;

/// Most accurate inner solve.
const ROUNDING: f64 = 1e-13;

/// A slope along a step counts as zero below this share of the one that it starts with.
const FLAT: f64 = 0.1;

/// Steps in a row that may lower neither the gradient by a tenth nor the objective by more than rounding: where
/// slopes have corners, gradients need not fall at every step.
const PATIENCE: usize = 4;

/// A linear model and what is asked of it.
#[derive(Clone, Copy)]
pub(crate) struct Problem<'a> {
    /// `G = J J^T`, nK x nK; entry `i K + k` of a vector belongs to example `i` and output `k`.
    pub(crate) gram: &'a dyn LinOp<f64>,
    /// Something like `(G + nu I)^-1`.
    pub(crate) precond: &'a dyn Precond<f64>,
    /// For preconditioners that know the curvature, where that one needs many iterations.
    pub(crate) blocks: Option<&'a Blocks<'a>>,
    /// `f_0`, nK.
    pub(crate) base: &'a [f64],
    /// `y`, nK.
    pub(crate) targets: &'a [f64],
    /// `w`, n; `None` for ones.
    pub(crate) weights: Option<&'a [f64]>,
    /// `K`.
    pub(crate) outputs: usize,
    pub(crate) loss: Loss,
    /// `mu`, positive.
    pub(crate) ridge: f64,
    /// Most iterations of one inner solve.
    pub(crate) max_inner: usize,
    pub(crate) par: Par,
}

/// A minimiser and how good it is.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// `a`, nK.
    pub(crate) multipliers: Vec<f64>,
    /// `f_0 + G a`, nK.
    pub(crate) outputs: Vec<f64>,
    /// The weighted loss and half the ridge's term.
    pub(crate) objective: f64,
    /// `|J^T (g + mu a)|`.
    pub(crate) gradient: f64,
    /// Newton steps.
    pub(crate) steps: usize,
    /// Iterations of all inner solves.
    pub(crate) inner_iterations: usize,
    /// The largest of the inner systems, as conjugate gradients met it.
    pub(crate) condition: f64,
    pub(crate) ending: Ending,
}

/// A point with all that follows from it.
struct Point {
    /// `a` and `G a`.
    a: Vec<f64>,
    image: Vec<f64>,
    /// `rho = g + mu a` and `G rho`.
    rho: Vec<f64>,
    rho_image: Vec<f64>,
    gradient: f64,
    objective: f64,
}

impl Problem<'_> {
    /// Minimises from the multipliers `start` until the gradient is at most `tolerance`.
    ///
    /// The pinball is approached through wider envelopes, as Newton's method sees no further than one.
    pub(crate) fn minimise(
        &self,
        start: &[f64],
        tolerance: f64,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let Loss::Pinball { level, width } = self.loss else {
            return self.newton(start, tolerance, observer);
        };
        let image = self.product(start);
        let off: f64 = (0..image.len())
            .map(|at| (self.base[at] + image[at] - self.targets[at]).abs() / image.len() as f64)
            .sum();
        let (mut a, mut wide, mut spent) = (start.to_vec(), off, (0, 0));
        let mut condition = 1.0f64;
        while wide > 4.0 * width && wide.is_finite() {
            let loss = Loss::Pinball { level, width: wide };
            let loose = Problem { loss, ..*self };
            let found = loose.newton(&a, (10.0 * tolerance).max(1e-3 * wide), observer)?;
            spent = (spent.0 + found.steps, spent.1 + found.inner_iterations);
            condition = condition.max(found.condition);
            if found.ending == Ending::Stopped {
                return Ok(found);
            }
            a = found.multipliers;
            wide *= 0.25;
        }
        let mut found = self.newton(&a, tolerance, observer)?;
        found.steps += spent.0;
        found.inner_iterations += spent.1;
        found.condition = found.condition.max(condition);
        Ok(found)
    }

    fn newton(
        &self,
        start: &[f64],
        tolerance: f64,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainError> {
        let mut point = self.point(start.to_vec(), self.product(start));
        let first = point.gradient;
        let (mut steps, mut inner, mut idle, mut largest) = (0, 0, 0, 0.0_f64);
        let mut condition = 1.0f64;
        let ending = loop {
            if point.gradient <= tolerance {
                break Ending::Converged;
            }
            if idle >= PATIENCE {
                break Ending::Stagnated;
            }
            if steps >= MAX_STEPS {
                break Ending::MaxSteps;
            }
            let wanted = LOOSE * (point.gradient / first).sqrt().min(1.0);
            let needed = (0.5 * tolerance / point.gradient).min(LOOSE);
            // Of the eigenvalues of `J J^T` that have been seen.
            largest = largest.max(dot(&point.rho_image, &point.rho_image) / point.gradient.powi(2));
            let curvature = self.curvature(&point);
            let bend = curvature.largest() * largest;
            let rtol = (wanted.max(needed) * self.ridge / (self.ridge + bend)).max(ROUNDING);
            let Some((change, report)) = self.direction(&point, &curvature, rtol, observer)? else {
                break Ending::Stopped;
            };
            (steps, inner) = (steps + 1, inner + report.iters);
            condition = condition.max(report.condition());
            let image = self.product(&change);
            let Some(length) = self.length(&point, &change, &image) else {
                break Ending::Stagnated;
            };
            let moved = |from: &[f64], by: &[f64]| -> Vec<f64> {
                from.iter().zip(by).map(|(from, by)| from + length * by).collect()
            };
            let next = self.point(moved(&point.a, &change), moved(&point.image, &image));
            let lower = next.objective < point.objective * (1.0 - 4.0 * f64::EPSILON);
            idle = if lower || next.gradient <= 0.9 * point.gradient { 0 } else { idle + 1 };
            point = next;
        };
        Ok(Outcome {
            objective: point.objective,
            outputs: self.outputs_at(&point.image),
            multipliers: point.a,
            gradient: point.gradient,
            steps,
            inner_iterations: inner,
            condition,
            ending,
        })
    }

    /// `G x`.
    fn product(&self, x: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; x.len()];
        let mut scratch = MemBuffer::new(self.gram.apply_scratch(1, self.par));
        let target = MatMut::from_column_major_slice_mut(&mut y, x.len(), 1);
        let x = MatRef::from_column_major_slice(x, x.len(), 1);
        self.gram.apply(target, x, self.par, MemStack::new(&mut scratch));
        y
    }

    fn outputs_at(&self, image: &[f64]) -> Vec<f64> {
        self.base.iter().zip(image).map(|(base, image)| base + image).collect()
    }

    fn weight(&self, example: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[example])
    }

    /// Calls `visit(weight, f_i, y_i, out_i)` for each example.
    fn each(&self, f: &[f64], out: &mut [f64], visit: impl Fn(f64, &[f64], &[f64], &mut [f64])) {
        let k = self.outputs;
        let rows = f.chunks_exact(k).zip(self.targets.chunks_exact(k));
        for (i, ((f, y), out)) in rows.zip(out.chunks_exact_mut(k)).enumerate() {
            visit(self.weight(i), f, y, out);
        }
    }

    /// The weighted loss of outputs `f : nK`.
    pub(crate) fn loss_of(&self, f: &[f64]) -> f64 {
        let k = self.outputs;
        clear_upper();
        let rows = f.chunks_exact(k).zip(self.targets.chunks_exact(k)).enumerate();
        rows.map(|(i, (f, y))| self.weight(i) * self.loss.value(f, y)).sum()
    }

    /// Its weighted slopes `g : nK`.
    pub(crate) fn slopes(&self, f: &[f64]) -> Vec<f64> {
        let mut g = vec![0.0; f.len()];
        clear_upper();
        self.each(f, &mut g, |weight, f, y, g| {
            self.loss.gradient(f, y, g);
            for g in g {
                *g *= weight;
            }
        });
        g
    }

    fn point(&self, a: Vec<f64>, image: Vec<f64>) -> Point {
        let outputs = self.outputs_at(&image);
        let objective = self.loss_of(&outputs) + 0.5 * self.ridge * dot(&a, &image);
        let mut rho = self.slopes(&outputs);
        rho.iter_mut().zip(&a).for_each(|(rho, a)| *rho += self.ridge * a);
        let rho_image = self.product(&rho);
        let gradient = dot(&rho, &rho_image).max(0.0).sqrt();
        Point { a, image, rho, rho_image, gradient, objective }
    }

    fn curvature(&self, point: &Point) -> Curvature {
        let f = self.outputs_at(&point.image);
        let mut root = vec![0.0; f.len()];
        self.each(&f, &mut root, |_, f, y, root| self.loss.root(f, y, root));
        let scale = (0..f.len() / self.outputs).map(|i| self.weight(i).sqrt()).collect();
        Curvature { root, scale, outputs: self.outputs, couples: self.loss.couples() }
    }

    /// The change of the multipliers, and what the inner solve reports; `None` if the observer stops.
    fn direction(
        &self,
        point: &Point,
        curvature: &Curvature,
        rtol: f64,
        observer: &mut dyn Observer,
    ) -> Result<Option<(Vec<f64>, Report)>, TrainError> {
        let len = point.rho.len();
        let mut b = Mat::from_fn(len, 1, |at, _| -point.rho_image[at]);
        curvature.adjoint(column(b.as_mut()));
        let system = System { gram: self.gram, curvature, ridge: self.ridge };
        let mut q = Mat::zeros(len, 1);
        let mut watch = |inner: &Step<'_>| -> ControlFlow<()> {
            let rel_residual = inner.rel_residuals[0];
            observer.on_event(&Event::Inner { iteration: inner.iter, rel_residual })
        };
        let mut solve = |precond: &dyn Precond<f64>, most: usize| {
            let mut scratch = MemBuffer::new(Cg::scratch(&system, precond, 1, self.par));
            let stack = MemStack::new(&mut scratch);
            let cg = Cg::default().with_rtol(rtol).with_max_iters(most);
            cg.solve_into(q.as_mut(), &system, precond, b.as_ref(), &mut watch, self.par, stack)
        };
        let blocks = self.blocks.filter(|blocks| blocks.may_be_made());
        let known = match blocks.filter(|blocks| blocks.are_made()) {
            Some(blocks) => blocks.at(curvature, self.ridge)?,
            None => None,
        };
        let report = match (known, blocks) {
            (Some(known), _) => solve(&known, self.max_inner)?,
            (None, None) => solve(self.precond, self.max_inner)?,
            (None, Some(blocks)) => {
                let first = solve(self.precond, self.max_inner.min(PATIENT))?;
                if first.ending == InnerEnding::MaxIters && PATIENT < self.max_inner {
                    let better = blocks.at(curvature, self.ridge)?;
                    let better = better.as_ref().map_or(self.precond, |b| b as &dyn Precond<f64>);
                    let mut report = solve(better, self.max_inner)?;
                    report.iters += first.iters;
                    report
                } else {
                    first
                }
            }
        };
        if report.ending == InnerEnding::Stopped {
            return Ok(None);
        }
        curvature.apply(column(q.as_mut()));
        let rho = point.rho.iter().zip(q.col(0).iter());
        Ok(Some((rho.map(|(rho, q)| -(rho + q) / self.ridge).collect(), report)))
    }

    /// Where the objective along a change with `image = G change` is least, or nearly; `None` if it does not
    /// fall.
    fn length(&self, point: &Point, change: &[f64], image: &[f64]) -> Option<f64> {
        let (linear, square) = (dot(change, &point.image), dot(change, image));
        let slope = |t: f64| -> f64 {
            let moved: Vec<f64> = point.image.iter().zip(image).map(|(p, d)| p + t * d).collect();
            let slopes = self.slopes(&self.outputs_at(&moved));
            dot(&slopes, image) + self.ridge * (linear + t * square)
        };
        let first = slope(0.0);
        if !(first < 0.0) {
            return None;
        }
        let flat = |slope: f64| slope.abs() <= -FLAT * first;
        let ((mut low, mut below), (mut high, mut above)) = ((0.0, first), (1.0, slope(1.0)));
        while above < 0.0 && !flat(above) && high < 1e6 {
            (low, below) = (high, above);
            high *= 2.0;
            above = slope(high);
        }
        if above <= 0.0 || flat(above) {
            return Some(high);
        }
        // The slope rises from `below` to `above`: secants, and halves where they creep.
        for round in 0..60 {
            let secant = low - below * (high - low) / (above - below);
            let t = if round % 3 == 2 { 0.5 * (low + high) } else { secant };
            let here = slope(t);
            if flat(here) {
                return Some(t);
            }
            if here < 0.0 { (low, below) = (t, here) } else { (high, above) = (t, here) }
        }
        (low > 0.0).then_some(low)
    }
}
