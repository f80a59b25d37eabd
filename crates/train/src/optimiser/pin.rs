//! Minima that lie on kinks.
//!
//! With a ridge the residual stays, and where a neuron's sign flips the objective has a kink. A
//! convex one can hold the minimum: the minimiser of either side lies on the other, and plain steps
//! jump to and fro. The remedy of an active-set method is to step *onto* the kink: for the few
//! entries `(i, r)` that flipped, ask for `w_r . x_i = 0` as well and minimise
//! `|r + J D|^2 + mu |U + D|^2` under these equations. With `H = J^T J + mu I`, `v_j = e_r kron x_i`
//! and `D_0` the plain step,
//!
//! `D = D_0 - sum_j lambda_j H^-1 v_j`,   `v_j . D = -w_r . x_i`,
//!
//! and `H^-1 v = (v - J^T q) / mu` with `(J J^T + mu I) q = J v`: one more inner solve an entry.
//!
//! At such a point `relu'` may be any number of `[0, 1]` for the pinned entries (Clarke, *Optimization
//! and Nonsmooth Analysis*, 1983), and the gradient that counts is the smallest of that set.

use faer::Mat;
use faer::linalg::solvers::Solve;
use nearlin_relu::{Network, PackedMask};

use super::{Built, Optimiser, State};
use crate::TrainError;
use crate::observe::Observer;
use crate::step::{Direction, Point, System};
use crate::vector::{Element, norm, rows, rows_mut};

/// Most entries that a step may pin: each costs an inner solve.
const MAX_PINS: usize = 8;

/// Relative accuracy of the extra solves; what they miss, the next step makes up for.
const ACCURACY: f64 = 1e-6;

/// An entry counts as lying on its kink if `w_r . x_i` is below this, relative to its two parts.
const ON_KINK: f64 = 1e-9;

/// An entry of the activation mask that is held on its kink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Pin {
    pub(crate) example: usize,
    pub(crate) neuron: usize,
}

impl<T: Element> Optimiser<'_, T> {
    /// The step from `state` onto the kinks of the entries that `direction` flips, or that are held
    /// already; `None` if there are none, too many, or none that wants to stay.
    pub(super) fn pinned(
        &self,
        state: &State,
        direction: &Direction,
        flipped: &PackedMask,
        observer: &mut dyn Observer,
    ) -> Result<Option<(Direction, Vec<Pin>)>, TrainError> {
        let Some(pins) = candidates(state, flipped) else { return Ok(None) };
        let (Some(Built { preconditioner, .. }), Some(image)) = (&self.built, &direction.image)
        else {
            return Ok(None);
        };
        let jacobian = self.exact.jacobian(&state.active);
        let (n, k) = (jacobian.examples(), jacobian.outputs());
        let (m, d) = (jacobian.width(), jacobian.inputs());
        let (x, ridge) = (self.equations.x(), self.options.ridge);
        let still = vec![0.0; m * d];
        let mut iterations = direction.iterations;
        let (mut columns, mut multipliers) = (Vec::new(), Vec::new());
        for pin in &pins {
            let mut v = vec![0.0; m * d];
            (0..d).for_each(|c| v[pin.neuron * d + c] = x[(pin.example, c)]);
            let mut residual = vec![0.0; n * k];
            jacobian
                .apply(rows_mut(&mut residual, n, k), rows(&v, m, d), self.options.par)
                .expect("equations and network have been matched");
            let (active, residual) = (&state.active, &residual[..]);
            let point = Point { active, residual, change: &still, multipliers: None };
            let (exact, features) = (&self.exact, &self.features);
            let system = System { point, exact, features, preconditioner, ridge, damping: 0.0 };
            let solved = system.direction(ACCURACY, self.options, observer)?;
            iterations += solved.iterations;
            if solved.stopped {
                return Ok(None);
            }
            // The step of that system is -J^T q.
            let h = v.iter().zip(&solved.step).map(|(v, s)| (v + s) / ridge).collect::<Vec<_>>();
            columns.push(h);
            multipliers.push(solved.multipliers);
        }

        let mut active: Vec<usize> = (0..pins.len()).collect();
        while !active.is_empty() {
            let size = active.len();
            let on = |h: &[f64], pin: Pin| -> f64 {
                (0..d).map(|c| h[pin.neuron * d + c] * x[(pin.example, c)]).sum()
            };
            let lhs = Mat::from_fn(size, size, |a, b| on(&columns[active[b]], pins[active[a]]));
            let rhs = Mat::from_fn(size, 1, |a, _| {
                let pin = pins[active[a]];
                on(&direction.step, pin) + self.preactivation(&state.network, pin).0
            });
            let lambda = lhs.partial_piv_lu().solve(&rhs);
            let mut found = Direction { iterations, ..direction.clone() };
            let mut linear = image.clone();
            for (a, &j) in active.iter().enumerate() {
                let l = lambda[(a, 0)];
                found.step.iter_mut().zip(&columns[j]).for_each(|(s, h)| *s -= l * h);
                // J H^-1 v = q.
                linear.iter_mut().zip(&multipliers[j]).for_each(|(s, q)| *s -= l * q);
                found
                    .multipliers
                    .iter_mut()
                    .zip(&multipliers[j])
                    .for_each(|(g, q)| *g -= l * q / ridge);
            }
            if !found.step.iter().all(|s| s.is_finite()) {
                return Ok(None);
            }
            let ahead: Vec<f64> = state.residual.iter().zip(&linear).map(|(r, v)| r + v).collect();
            found.image = Some(linear);
            let stays = |a: usize, j: usize| {
                let bit = f64::from(u8::from(state.mask().get(pins[j].example, pins[j].neuron)));
                let share = bit + lambda[(a, 0)] / self.jump(&ahead, pins[j]);
                (-ACCURACY..=1.0 + ACCURACY).contains(&share)
            };
            let kept: Vec<usize> =
                active.iter().enumerate().filter(|&(a, &j)| stays(a, j)).map(|(_, &j)| j).collect();
            if kept.len() == size {
                let held = active.iter().map(|&j| pins[j]).collect();
                return Ok(Some((found, held)));
            }
            active = kept;
        }
        Ok(None)
    }

    /// The smallest gradient `|J^T r + mu U|` that values of `relu'` in `[0, 1]` allow for the
    /// entries among `pins` that do lie on their kinks.
    pub(super) fn smallest_gradient(
        &self,
        mut gradient: Vec<f64>,
        network: &Network,
        mask: &PackedMask,
        residual: &[f64],
        pins: &[Pin],
    ) -> f64 {
        let (d, x) = (self.equations.inputs(), self.equations.x());
        for &pin in pins {
            let (z, size) = self.preactivation(network, pin);
            let jump = self.jump(residual, pin);
            if z.abs() > ON_KINK * size || jump == 0.0 {
                continue;
            }
            let row = &mut gradient[pin.neuron * d..(pin.neuron + 1) * d];
            let input: Vec<f64> = (0..d).map(|c| x[(pin.example, c)]).collect();
            let along: f64 = row.iter().zip(&input).map(|(g, x)| g * x).sum();
            let square: f64 = input.iter().map(|x| x * x).sum();
            let bit = f64::from(u8::from(mask.get(pin.example, pin.neuron)));
            let share = (bit - along / (jump * square)).clamp(0.0, 1.0);
            row.iter_mut().zip(&input).for_each(|(g, x)| *g += (share - bit) * jump * x);
        }
        norm(&gradient)
    }

    /// `w_r . x_i`, and the sum of the sizes of its two parts.
    fn preactivation(&self, network: &Network, pin: Pin) -> (f64, f64) {
        let (d, x) = (self.equations.inputs(), self.equations.x());
        let directions = network.directions();
        let start = directions.row(pin.neuron % directions.nrows());
        let change = &network.change()[pin.neuron * d..(pin.neuron + 1) * d];
        let (mut z0, mut delta) = (0.0, 0.0);
        for c in 0..d {
            z0 += start[c] * x[(pin.example, c)];
            delta += change[c] * x[(pin.example, c)];
        }
        (z0 + delta, z0.abs() + delta.abs())
    }

    /// How much the gradient changes along `e_r kron x_i` when the entry flips:
    /// `m^(-1/2) sum over k of a_rk r_ik`.
    fn jump(&self, residual: &[f64], pin: Pin) -> f64 {
        let k = self.equations.outputs();
        let signs = &self.signs[pin.neuron * k..(pin.neuron + 1) * k];
        let row = &residual[pin.example * k..(pin.example + 1) * k];
        let sum: f64 = signs.iter().zip(row).map(|(a, r)| a * r).sum();
        sum / (self.options.width as f64).sqrt()
    }
}

/// Entries held by `state` and entries in which its mask differs from `other`.
fn candidates(state: &State, other: &PackedMask) -> Option<Vec<Pin>> {
    let mut pins = state.pins.clone();
    if state.mask().count_differences(other) > MAX_PINS as u64 {
        return None;
    }
    for example in 0..state.mask().nrows() {
        let words = state.mask().row(example).iter().zip(other.row(example)).enumerate();
        for (at, (a, b)) in words {
            let mut changed = a ^ b;
            while changed != 0 {
                let neuron = 64 * at + changed.trailing_zeros() as usize;
                let pin = Pin { example, neuron };
                if !pins.contains(&pin) {
                    pins.push(pin);
                }
                changed &= changed - 1;
            }
        }
    }
    (!pins.is_empty() && pins.len() <= MAX_PINS).then_some(pins)
}
