//! Derivatives against differences, and what the losses promise.

use proptest::prelude::*;

use super::*;

const LOSSES: [Loss; 5] = [
    Loss::Squared,
    Loss::Logistic,
    Loss::Softmax,
    Loss::Huber { delta: 0.7 },
    Loss::Pinball { level: 0.3, width: 0.5 },
];

/// Whether a loss has a corner in its slope within `h` of `f`.
fn at_corner(loss: Loss, f: &[f64], y: &[f64], h: f64) -> bool {
    let corners = match loss {
        Loss::Huber { delta } => vec![-delta, delta],
        Loss::Pinball { level, width } => vec![-level * width, (1.0 - level) * width],
        _ => vec![],
    };
    residuals(f, y).any(|r| corners.iter().any(|c| (r - c).abs() <= 2.0 * h))
}

fn gradient(loss: Loss, f: &[f64], y: &[f64]) -> Vec<f64> {
    let mut g = vec![f64::NAN; f.len()];
    loss.gradient(f, y, &mut g);
    g
}

/// `R R^T x`.
fn curvature(loss: Loss, f: &[f64], y: &[f64], x: &[f64]) -> Vec<f64> {
    let mut s = vec![f64::NAN; f.len()];
    loss.root(f, y, &mut s);
    let scaled: Vec<f64> = x.iter().zip(&s).map(|(x, s)| x * s).collect();
    let along: f64 = scaled.iter().zip(&s).map(|(x, s)| x * s).sum();
    let along = if loss.couples() { along } else { 0.0 };
    scaled.iter().zip(&s).map(|(x, s)| s * (x - along * s)).collect()
}

proptest! {
    /// Central differences err by `h^2` times a third derivative (at most 1 for these losses) plus
    /// rounding, `eps / h` times values below some tens: 1e-9 + 1e-10 for `h = 3e-5`.
    #[test]
    fn derivatives_are_differences(
        f in prop::collection::vec(-4.0f64..4.0, 3),
        class in 0usize..3,
        direction in prop::collection::vec(-1.0f64..1.0, 3),
    ) {
        let y: Vec<f64> = (0..3).map(|c| f64::from(u8::from(c == class))).collect();
        let h = 3e-5;
        let moved = |t: f64| -> Vec<f64> {
            f.iter().zip(&direction).map(|(f, d)| f + t * d).collect()
        };
        for loss in LOSSES {
            let (ahead, behind) = (moved(h), moved(-h));
            let slope = (loss.value(&ahead, &y) - loss.value(&behind, &y)) / (2.0 * h);
            let g = gradient(loss, &f, &y);
            let along: f64 = g.iter().zip(&direction).map(|(g, d)| g * d).sum();
            // A corner of the slope bends the difference by at most `h` times the jump of the slope's slope.
            let slack = if at_corner(loss, &f, &y, h) { 4.0 * h } else { 1e-8 };
            prop_assert!((slope - along).abs() <= slack, "{loss:?}: {slope} {along}");
            if !at_corner(loss, &f, &y, h) {
                let bend = curvature(loss, &f, &y, &direction);
                let [ahead, behind] = [gradient(loss, &ahead, &y), gradient(loss, &behind, &y)];
                for ((ahead, behind), bend) in ahead.iter().zip(&behind).zip(bend) {
                    let found = (ahead - behind) / (2.0 * h);
                    prop_assert!((found - bend).abs() <= 1e-8, "{loss:?}: {found} {bend}");
                }
            }
        }
    }

    /// The envelope is below the pinball, and by no more than it says.
    #[test]
    fn envelopes_are_close(f in -3.0f64..3.0, y in -3.0f64..3.0, level in 0.01f64..0.99, width in 1e-3f64..2.0) {
        let sharp = if f < y { level * (y - f) } else { (1.0 - level) * (f - y) };
        let smooth = Loss::Pinball { level, width }.value(&[f], &[y]);
        prop_assert!(smooth <= sharp + 1e-12 && smooth >= sharp - 0.5 * width, "{sharp} {smooth}");
    }
}

/// Nothing overflows, and certainty costs nothing.
#[test]
fn extremes_are_finite() {
    for f in [-1e3, 1e3] {
        let right = f64::from(u8::from(f > 0.0));
        for (y, expected) in [(right, 0.0), (1.0 - right, 1e3)] {
            assert_eq!(Loss::Logistic.value(&[f], &[y]), expected);
            assert_eq!(Loss::Softmax.value(&[f, 0.0], &[y, 1.0 - y]), expected);
            let g = gradient(Loss::Softmax, &[f, 0.0], &[y, 1.0 - y]);
            assert_eq!(g, [right - y, y - right]);
        }
    }
}

#[test]
fn wrong_targets_and_parameters_are_named() {
    let message = |loss: Loss, y: &[f64]| loss.check(y, 2).unwrap_err().to_string();
    assert_eq!(
        message(Loss::Logistic, &[0.0, 1.0, 0.5, 1.5]),
        "the logistic loss found the target 1.5 at row 1, output 1; expected a number from 0 to 1"
    );
    assert_eq!(
        message(Loss::Softmax, &[0.5, 0.5, 0.25, 0.5]),
        "the softmax loss found the target 0.25 at row 1, output 0; expected part of a row whose sum is 1"
    );
    assert_eq!(
        message(Loss::Huber { delta: 0.0 }, &[1.0, 2.0]),
        "delta is 0, expected a positive finite number"
    );
    assert_eq!(
        message(Loss::Pinball { level: 1.0, width: 0.1 }, &[1.0, 2.0]),
        "level is 1, expected a number between 0 and 1"
    );
    assert!(Loss::Softmax.check(&[0.25, 0.75, 1.0, 0.0], 2).is_ok());
}
