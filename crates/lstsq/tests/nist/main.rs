//! Certified regressions: the digits that the exact solution has, and so no fewer than Householder QR but by its luck.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::print_stdout, reason = "digits are told with --nocapture")]

mod data;

use data::{Model, SETS, Set};
use faer::Mat;
use faer::linalg::solvers::SolveLstsq;
use nearlin_lstsq::Lstsq;

fn problem(set: &Set) -> (Mat<f64>, Mat<f64>) {
    let a = Mat::from_fn(set.y.len(), set.certified.len(), |i, j| match set.model {
        Model::Powers(first) => set.x[0][i].powi(first + i32::try_from(j).unwrap()),
        Model::Linear if j == 0 => 1.0,
        Model::Linear => set.x[j - 1][i],
    });
    (a, Mat::from_fn(set.y.len(), 1, |i, _| set.y[i]))
}

/// Correct digits of the worst coefficient, at most the fifteen that are certified.
fn digits(x: &Mat<f64>, certified: &[f64]) -> f64 {
    let of = |(j, &want): (usize, &f64)| -(((x[(j, 0)] - want) / want).abs().log10());
    certified.iter().enumerate().map(of).fold(15.0, f64::min)
}

#[test]
fn digits_are_those_of_the_exact_solution() {
    for set in &SETS {
        let (a, b) = problem(set);
        let qr = digits(&a.qr().solve_lstsq(&b), set.certified);
        let fit = Lstsq::default().solve(&a, b.as_ref()).unwrap();
        let own = digits(&fit.x, set.certified);
        println!(
            "{}: {own:.1} digits, QR {qr:.1}, the exact solution {:.1}, condition {:.1e}",
            set.name, set.exact, fit.report.condition
        );
        assert_eq!(fit.report.rank, set.certified.len(), "{}", set.name);
        // If QR has more than the exact solution, its rounding happened to undo that of the responses.
        assert!(own >= set.exact - 0.1, "{}: {own:.2} digits, QR {qr:.2}", set.name);
    }
}
