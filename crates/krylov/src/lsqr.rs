//! LSQR's recurrence: Paige and Saunders, *LSQR: An algorithm for sparse linear equations and sparse least squares*, ACM
//! Trans. Math. Softw. 8 (1982), sections 4 and 5. The iterate is that of conjugate gradients on the normal equations, and
//! its residual shrinks from step to step.

use faer::ColMut;

use crate::least_squares::Estimates;
use crate::op::Scalar;
use crate::vector::norm;

/// The scalars of one right-hand side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lsqr {
    rho_bar: f64,
    phi_bar: f64,
    /// `alpha` of the last step.
    alpha: f64,
    /// Squares of the norms of `A` and of `W = V R^-1`, as far as the process went; that of `A` to where it would end in exact
    /// arithmetic, as directions then come again and would be counted twice.
    operator: f64,
    inverse: f64,
    /// What damping adds to the residual.
    damped: f64,
    /// For the norm of the solution.
    c2: f64,
    s2: f64,
    z: f64,
    solution: f64,
    /// Steps that are left to that end.
    left: usize,
}

impl Lsqr {
    /// With the least of the operator's dimensions.
    pub(crate) fn new(alpha: f64, beta: f64, least: usize) -> Self {
        Self {
            rho_bar: alpha,
            phi_bar: beta,
            alpha,
            operator: 0.0,
            inverse: 0.0,
            damped: 0.0,
            c2: -1.0,
            s2: 0.0,
            z: 0.0,
            solution: 0.0,
            left: least,
        }
    }

    /// One step with `beta`, `alpha` and the next right vector `v`; `w` is the direction.
    pub(crate) fn step<T: Scalar>(
        &mut self,
        (beta, alpha): (f64, f64),
        damping: f64,
        x: ColMut<'_, T>,
        w: ColMut<'_, T>,
        v: faer::ColRef<'_, T>,
    ) -> Estimates {
        let counts = if self.left > 0 { 1.0 } else { 0.0 };
        self.left = self.left.saturating_sub(1);
        self.operator += counts * (self.alpha * self.alpha + beta * beta + damping * damping);
        self.alpha = alpha;
        // A rotation takes the damping out, another one the entry below the diagonal.
        let rho_damped = self.rho_bar.hypot(damping);
        let (c1, s1) = rotation(self.rho_bar, damping, rho_damped);
        let psi = s1 * self.phi_bar;
        self.phi_bar *= c1;
        self.damped += psi * psi;
        let rho = rho_damped.hypot(beta);
        let (c, s) = rotation(rho_damped, beta, rho);
        let theta = s * alpha;
        self.rho_bar = -c * alpha;
        let phi = c * self.phi_bar;
        self.phi_bar *= s;
        let tau = s * phi;

        let by = if rho > 0.0 { 1.0 / rho } else { 0.0 };
        self.inverse += (by * norm(w.as_ref())).powi(2);
        let (along, against) = (T::of(phi * by), T::of(theta * by));
        for ((x, w), &v) in x.iter_mut().zip(w.iter_mut()).zip(v.iter()) {
            *x += along * *w;
            *w = v - against * *w;
        }
        Estimates {
            residual: self.phi_bar.hypot(self.damped.sqrt()),
            gradient: alpha * tau.abs(),
            operator: self.operator.sqrt(),
            condition: (self.operator * self.inverse).sqrt(),
            solution: self.solution_norm(rho, theta, phi),
        }
    }

    /// `|x|` from the lower bidiagonal matrix that a rotation from the right makes of `R`.
    fn solution_norm(&mut self, rho: f64, theta: f64, phi: f64) -> f64 {
        let delta = self.s2 * rho;
        let gamma_bar = -self.c2 * rho;
        let right = phi - delta * self.z;
        let z_bar = if gamma_bar == 0.0 { 0.0 } else { right / gamma_bar };
        let norm = (self.solution + z_bar * z_bar).sqrt();
        let gamma = gamma_bar.hypot(theta);
        (self.c2, self.s2) = rotation(gamma_bar, theta, gamma);
        self.z = if gamma == 0.0 { 0.0 } else { right / gamma };
        self.solution += self.z * self.z;
        norm
    }
}

/// Cosine and sine of the rotation that takes `(a, b)` to `(r, 0)`.
pub(crate) fn rotation(a: f64, b: f64, r: f64) -> (f64, f64) {
    if r == 0.0 { (1.0, 0.0) } else { (a / r, b / r) }
}
