//! The kernels whose instructions are counted, each at one small shape and on one thread.
//!
//! A kernel runs once before it is counted, so that what happens once in a process (asking the CPU
//! for its instructions, buffers that a thread keeps) is in no count. Operands depend on nothing but
//! the place, so two runs execute the same instructions.

use std::hint::black_box;

use faer::{Mat, MatMut, MatRef, Par};
use nearlin::{Element, Signs};
use nearlin_dense::{Cholesky, Real, popcount_gram};
use nearlin_krylov::{Cg, Identity};
use nearlin_relu::{Init, Jacobian};
use nearlin_sketch::{Sketch, Srht, TensorSrht, fwht, fwht_columns};

use crate::bench::kernels::operands::{mask, noise, noise_vec, signs};

/// What the counting tool looks for: it counts from the entry of this function to its end.
pub(super) const REGION: &str = concat!(module_path!(), "::instructions_are_counted_here");

/// Runs the region; it must stay a function of its own, with this name.
#[inline(never)]
fn instructions_are_counted_here(run: &mut dyn FnMut()) {
    run();
    // Not a tail call, which would leave the region before the work is done.
    black_box(());
}

/// Instruction sets of this processor that decide which code a kernel runs.
pub(super) fn features() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let all = [
            ("avx2", std::is_x86_feature_detected!("avx2")),
            ("fma", std::is_x86_feature_detected!("fma")),
            ("avx512f", std::is_x86_feature_detected!("avx512f")),
        ];
        let has: Vec<_> = all.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
        has.join(" ")
    }
    #[cfg(not(target_arch = "x86_64"))]
    String::new()
}

/// Runs every kernel once uncounted and once counted, and tells its name after that.
pub(super) fn run_all(told: &mut dyn FnMut(&str)) {
    let mut kernels = Kernels { told };
    kernels.transforms::<f32>();
    kernels.transforms::<f64>();
    kernels.sketches::<f32>();
    kernels.gram();
    for (k, balanced) in [(1, false), (4, true), (10, false)] {
        kernels.jacobian::<f32>(k, balanced);
        kernels.jacobian::<f64>(k, balanced);
    }
    kernels.forward(1);
    kernels.forward(10);
    kernels.cholesky::<f32>();
    kernels.cholesky::<f64>();
    kernels.cg();
}

/// Where the counted kernels are told.
struct Kernels<'a> {
    told: &'a mut dyn FnMut(&str),
}

impl Kernels<'_> {
    fn count(&mut self, name: &str, mut run: impl FnMut()) {
        run();
        instructions_are_counted_here(&mut run);
        (self.told)(name);
    }

    fn transforms<T: Element>(&mut self) {
        for log in [10, 16] {
            let mut x = vec![<T as Real>::of(0.0); 1 << log];
            let name = format!("fwht 2^{log} {}", T::NAME);
            self.count(&name, || fwht(black_box(&mut x[..])));
        }
        let (rows, cols) = (1 << 12, 24);
        let mut a = Mat::<T>::zeros(rows, cols);
        let name = format!("fwht_columns 2^12 x 24 column-major {}", T::NAME);
        self.count(&name, || fwht_columns(black_box(a.as_mut()), Par::Seq));
        let mut x = vec![<T as Real>::of(0.0); rows * cols];
        let name = format!("fwht_columns 2^12 x 24 row-major {}", T::NAME);
        self.count(&name, || {
            let a = MatMut::from_row_major_slice_mut(&mut x, rows, cols);
            fwht_columns(black_box(a), Par::Seq);
        });
    }

    fn sketches<T: Element>(&mut self) {
        let (p, q, s) = (1 << 10, 1 << 6, 256);
        let a = noise::<T>(p * q, 1);
        let mut sketch = |name: &str, sketch: &dyn Sketch<T>| {
            let mut out = Mat::<T>::zeros(s, 1);
            self.count(&format!("{name}, a column of 2^16 to {s}, {}", T::NAME), || {
                sketch.apply(black_box(out.as_mut()), a.as_ref(), Par::Seq).expect("shapes fit");
            });
        };
        sketch("SRHT", &Srht::new(p * q, s, 0).expect("a sketch"));
        sketch("TensorSRHT", &TensorSrht::new(p, q, s, 0).expect("a sketch"));
    }

    fn gram(&mut self) {
        let (n, m) = (256, 2048);
        let mask = mask(n, m);
        let mut g = Mat::<f32>::zeros(n, n);
        self.count(&format!("popcount_gram {n} x {m}"), || {
            // The factors are one: others would be multiplied up over the runs.
            popcount_gram(black_box(g.as_mut()), &mask, 1.0, Par::Seq).expect("shapes fit");
        });
    }

    /// With signs by chance, or the balanced ones of a network.
    fn jacobian<T: Element>(&mut self, k: usize, balanced: bool) {
        let (n, m, d) = (512, 1024, 32);
        let mask = mask(n, m);
        let (x, mut a, u) = (noise_vec::<T>(n * d), signs::<T>(m * k), noise_vec::<T>(n * k));
        if balanced {
            let init = Init { inputs: d, outputs: k, width: m, seed: 0, signs: Signs::Balanced };
            let network = init.network(1.0).expect("a network");
            a = network.signs().iter().map(|&sign| <T as Real>::of(sign)).collect();
        }
        let x = MatRef::from_row_major_slice(&x, n, d);
        let u = MatRef::from_row_major_slice(&u, n, k);
        let signs = MatRef::from_row_major_slice(&a, m, k);
        let jacobian = Jacobian::new(&mask, x, signs).expect("shapes fit");
        let (mut y, mut v) = (Mat::<T>::zeros(n, k), noise::<T>(m, d));
        let of = if balanced { "balanced outputs" } else { "outputs" };
        let name =
            |kernel: &str| format!("{kernel}, n = {n}, m = {m}, d = {d}, {k} {of}, {}", T::NAME);
        let fits = "shapes fit";
        self.count(&name("J v"), || {
            jacobian.apply(black_box(y.as_mut()), v.as_ref(), Par::Seq).expect(fits);
        });
        self.count(&name("J^T u"), || {
            jacobian.apply_adjoint(black_box(v.as_mut()), u, Par::Seq).expect(fits);
        });
        let (rows, cols) = jacobian.gram_scratch();
        let mut scratch = Mat::<T>::zeros(rows, cols);
        self.count(&name("J J^T u"), || {
            let y = black_box(y.as_mut());
            jacobian.apply_gram(y, u, scratch.as_mut(), Par::Seq).expect(fits);
        });
    }

    fn forward(&mut self, k: usize) {
        let (n, m, d) = (512, 1024, 32);
        let init = Init { inputs: d, outputs: k, width: m, seed: 0, signs: Signs::Random };
        let network = init.network(1.0).expect("a network");
        let x = noise_vec::<f64>(n * d);
        let x = MatRef::from_row_major_slice(&x, n, d);
        self.count(&format!("forward, n = {n}, m = {m}, d = {d}, {k} outputs"), || {
            drop(black_box(network.forward(x, Par::Seq).expect("shapes fit")));
        });
    }

    fn cholesky<T: Element>(&mut self) {
        let n = 256;
        let factor = Cholesky::factor(dominant::<T>(n), Par::Seq).expect("positive definite");
        for k in [1, 10] {
            let b = noise::<T>(n, k);
            let mut x = b.clone();
            self.count(&format!("Cholesky solve, n = {n}, {k} columns, {}", T::NAME), || {
                x.copy_from(&b);
                factor.solve_in_place(black_box(x.as_mut()), Par::Seq);
            });
        }
        let a = dominant::<T>(n);
        self.count(&format!("Cholesky factor, n = {n}, {}", T::NAME), || {
            drop(black_box(Cholesky::factor(a.clone(), Par::Seq).expect("positive definite")));
        });
    }

    /// Steps of conjugate gradients, products with a small matrix included.
    fn cg(&mut self) {
        let (n, k, steps) = (256, 4, 4);
        let (a, b) = (dominant::<f64>(n), noise::<f64>(n, k));
        let cg = Cg::default().with_rtol(1e-300).with_max_iters(steps);
        self.count(&format!("{steps} CG steps, n = {n}, {k} columns"), || {
            let p = Identity { dim: n };
            let solution = cg.solve_preconditioned(&a, &p, b.as_ref(), Par::Seq);
            drop(black_box(solution.expect("shapes fit")));
        });
    }
}

/// A symmetric matrix of noise with a diagonal that makes it positive definite by Gershgorin's
/// theorem.
fn dominant<T: Element>(n: usize) -> Mat<T> {
    let noise = noise::<T>(n, n);
    Mat::from_fn(
        n,
        n,
        |i, j| {
            if i == j { <T as Real>::of(n as f64) } else { noise[(i.max(j), i.min(j))] }
        },
    )
}
