//! The condition number that conjugate gradients meet, from their own coefficients.
//!
//! With steps `alpha_i` and `beta_i` the method is the Lanczos process of the preconditioned operator in disguise, whose
//! tridiagonal matrix has `1 / alpha_i + beta_i / alpha_(i-1)` on its diagonal and `beta_i^(1/2) / alpha_(i-1)` beside it
//! (Saad, *Iterative methods for sparse linear systems*, 2nd ed., section 6.7.3). Its extreme eigenvalues lie within those
//! of the operator, and reach them as the method converges.

/// Steps that are remembered: their extremes have settled long before.
const MOST: usize = 1024;

/// Halvings of an interval of 18 decades, to a part in 1e9.
const HALVINGS: usize = 36;

/// Coefficients of one right-hand side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ritz {
    diagonal: Vec<f64>,
    /// Squares of the entries beside the diagonal, each with the row before; the first is 0.
    squares: Vec<f64>,
    alpha: f64,
}

impl Ritz {
    /// Room for so many steps, so that none allocates.
    pub(crate) fn new(steps: usize) -> Self {
        let room = || Vec::with_capacity(steps.min(MOST));
        Self { diagonal: room(), squares: room(), alpha: 0.0 }
    }

    /// Takes down a step; `beta` is 0 where the directions begin anew.
    pub(crate) fn push(&mut self, alpha: f64, beta: f64) {
        if self.diagonal.len() == MOST {
            return;
        }
        let (coupled, square) = if beta > 0.0 {
            (beta / self.alpha, beta / self.alpha / self.alpha)
        } else {
            (0.0, 0.0)
        };
        self.diagonal.push(1.0 / alpha + coupled);
        self.squares.push(square);
        self.alpha = alpha;
    }

    /// The largest over the least eigenvalue, 1 for no steps.
    pub(crate) fn condition(&self) -> f64 {
        let k = self.diagonal.len();
        if k == 0 {
            return 1.0;
        }
        let beside = |i: usize| self.squares.get(i).map_or(0.0, |s| s.sqrt());
        let rows = (0..k).map(|i| self.diagonal[i] + beside(i) + beside(i + 1));
        let most = rows.fold(0.0, f64::max) * (1.0 + 1e-12);
        if !(most.is_finite() && most > 0.0) {
            return f64::INFINITY;
        }
        // The least `x` with so many eigenvalues below it.
        let reach = |count: usize| {
            let (mut low, mut high) = (1e-18 * most, most);
            for _ in 0..HALVINGS {
                let middle = (low * high).sqrt();
                if self.below(middle) >= count { high = middle } else { low = middle }
            }
            high
        };
        reach(k) / reach(1)
    }

    /// Eigenvalues below `x`, by Sylvester's law of inertia.
    fn below(&self, x: f64) -> usize {
        let (mut count, mut pivot) = (0, 1.0);
        for (diagonal, square) in self.diagonal.iter().zip(&self.squares) {
            pivot = diagonal - x - square / pivot;
            if pivot == 0.0 {
                pivot = f64::MIN_POSITIVE;
            }
            count += usize::from(pivot < 0.0);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_steps_have_two_eigenvalues() {
        // T = [[2, 1], [1, 2]]: alpha_0 = 1/2, beta_1 / alpha_0^2 = 1, 1 / alpha_1 + beta_1 / alpha_0 = 2.
        let mut ritz = Ritz::new(2);
        ritz.push(0.5, 0.0);
        ritz.push(1.0 / 1.5, 0.25);
        assert!((ritz.condition() - 3.0).abs() < 1e-7);
        assert_eq!((ritz.below(0.5), ritz.below(2.0), ritz.below(3.5)), (0, 1, 2));
    }

    #[test]
    fn nothing_is_well_conditioned() {
        assert!((Ritz::new(0).condition() - 1.0).abs() < 1e-15);
        let mut one = Ritz::new(1);
        one.push(0.25, 0.0);
        assert!((one.condition() - 1.0).abs() < 1e-8);
    }
}
