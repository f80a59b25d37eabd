//! Watches a fit of classes and stops it when a step leaves less than a third of the targets.
#![allow(clippy::print_stdout, reason = "an example may print")]

use core::ops::ControlFlow;

use nearlin::{Classifier, Ending, Event, TrainError};

fn main() -> Result<(), TrainError> {
    let point =
        |i: i32| [(f64::from(i) * 0.618).fract() - 0.5, (f64::from(i) * 0.414).fract() - 0.5];
    let x: Vec<[f64; 2]> = (0..300).map(point).collect();
    let labels: Vec<&str> =
        x.iter().map(|[a, b]| if a * a + b * b < 0.1 { "inside" } else { "outside" }).collect();

    let mut watch = |event: &Event<'_>| match event {
        Event::Phase(phase) => {
            println!("{phase:?}");
            ControlFlow::Continue(())
        }
        Event::Step(step) => {
            println!("step {}: residual {:.3}", step.step, step.rel_residual);
            if step.rel_residual < 0.33 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
        _ => ControlFlow::Continue(()),
    };
    let model = Classifier::new().width(1024).fit_observed(&x, &labels, &mut watch)?;

    let report = model.report();
    println!(
        "{} after {} steps: {}",
        report.ending().name(),
        report.run.steps.len(),
        report.run.reason
    );
    assert_eq!(report.ending(), Ending::Stopped); // and the model is there
    assert_eq!(model.predict([[0.0, 0.0], [0.4, 0.4]].as_slice())?, ["inside", "outside"]);
    Ok(())
}
