//! LSMR's recurrence: Fong and Saunders, *LSMR: An iterative algorithm for sparse least-squares problems*, SIAM J. Sci.
//! Comput. 33 (2011), sections 2 to 4. The iterate is that of MINRES on the normal equations, and the gradient `A* r`
//! shrinks from step to step, so that it may be ended earlier than LSQR with the same guarantee.

use faer::{ColMut, ColRef};

use crate::least_squares::Estimates;
use crate::lsqr::rotation;
use crate::op::Scalar;
use crate::vector::norm;

/// The scalars of one right-hand side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lsmr {
    alpha_bar: f64,
    zeta_bar: f64,
    zeta: f64,
    rho: f64,
    rho_bar: f64,
    c_bar: f64,
    s_bar: f64,
    steps: usize,
    // For the norm of the residual.
    beta_dd: f64,
    beta_d: f64,
    rho_d: f64,
    tau_tilde: f64,
    theta_tilde: f64,
    damped: f64,
    // For the norm of the operator and its condition; the norm grows until the process would end in exact arithmetic.
    operator: f64,
    largest: f64,
    smallest: f64,
    least: usize,
}

impl Lsmr {
    /// With the least of the operator's dimensions.
    pub(crate) fn new(alpha: f64, beta: f64, least: usize) -> Self {
        Self {
            alpha_bar: alpha,
            zeta_bar: alpha * beta,
            zeta: 0.0,
            rho: 1.0,
            rho_bar: 1.0,
            c_bar: 1.0,
            s_bar: 0.0,
            steps: 0,
            beta_dd: beta,
            beta_d: 0.0,
            rho_d: 1.0,
            tau_tilde: 0.0,
            theta_tilde: 0.0,
            damped: 0.0,
            operator: alpha * alpha,
            largest: 0.0,
            smallest: f64::INFINITY,
            least,
        }
    }

    /// One step with `beta`, `alpha` and the next right vector `v`; `h` and `h_bar` are directions.
    pub(crate) fn step<T: Scalar>(
        &mut self,
        (beta, alpha): (f64, f64),
        damping: f64,
        mut x: ColMut<'_, T>,
        (h, h_bar): (ColMut<'_, T>, ColMut<'_, T>),
        v: ColRef<'_, T>,
    ) -> Estimates {
        self.steps += 1;
        let (c_hat, s_hat, alpha_hat) = turned(self.alpha_bar, damping);
        let rho_old = self.rho;
        let (c, s, rho) = turned(alpha_hat, beta);
        let theta = s * alpha;
        self.alpha_bar = c * alpha;
        let (rho_bar_old, zeta_old) = (self.rho_bar, self.zeta);
        let theta_bar = self.s_bar * rho;
        let rho_turned = self.c_bar * rho;
        let (c_bar, s_bar, rho_bar) = turned(rho_turned, theta);
        self.zeta = c_bar * self.zeta_bar;
        self.zeta_bar *= -s_bar;
        (self.rho, self.rho_bar, self.c_bar, self.s_bar) = (rho, rho_bar, c_bar, s_bar);

        let back = T::of(divided(theta_bar * rho, rho_old * rho_bar_old));
        let along = T::of(divided(self.zeta, rho * rho_bar));
        let against = T::of(divided(theta, rho));
        let vectors = h.iter_mut().zip(h_bar.iter_mut());
        for ((x, (h, h_bar)), &v) in x.as_mut().iter_mut().zip(vectors).zip(v.iter()) {
            *h_bar = *h - back * *h_bar;
            *x += along * *h_bar;
            *h = v - against * *h;
        }

        let residual = {
            let beta_acute = c_hat * self.beta_dd;
            let beta_check = -s_hat * self.beta_dd;
            let beta_hat = c * beta_acute;
            self.beta_dd = -s * beta_acute;
            let theta_tilde_old = self.theta_tilde;
            let (c_tilde, s_tilde, rho_tilde) = turned(self.rho_d, theta_bar);
            self.theta_tilde = s_tilde * rho_bar;
            self.rho_d = c_tilde * rho_bar;
            self.beta_d = -s_tilde * self.beta_d + c_tilde * beta_hat;
            self.tau_tilde = divided(zeta_old - theta_tilde_old * self.tau_tilde, rho_tilde);
            let tau = divided(self.zeta - self.theta_tilde * self.tau_tilde, self.rho_d);
            self.damped += beta_check * beta_check;
            (self.damped + (self.beta_d - tau).powi(2) + self.beta_dd * self.beta_dd).sqrt()
        };
        let counts = if self.steps <= self.least { 1.0 } else { 0.0 };
        self.operator += counts * beta * beta;
        let operator = self.operator.sqrt();
        self.operator += counts * alpha * alpha;
        // The first one stands for none.
        if self.steps > 1 {
            self.largest = self.largest.max(rho_bar_old);
            self.smallest = self.smallest.min(rho_bar_old);
        }
        Estimates {
            residual,
            gradient: self.zeta_bar.abs(),
            operator,
            condition: self.largest.max(rho_turned) / self.smallest.min(rho_turned),
            solution: norm(x.as_ref()),
        }
    }
}

/// Cosine, sine and length of the rotation that takes `(a, b)` to `(length, 0)`.
fn turned(a: f64, b: f64) -> (f64, f64, f64) {
    let length = a.hypot(b);
    let (c, s) = rotation(a, b, length);
    (c, s, length)
}

/// `a / b`, or 0 where the process has ended and `b` is 0.
fn divided(a: f64, b: f64) -> f64 {
    if b == 0.0 { 0.0 } else { a / b }
}
