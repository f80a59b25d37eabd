//! The page of the step times: tables, and the sentences of `story`.

use super::curve::{Along, Curve};
use super::{Report, story};
use crate::bench::pace::told;
use crate::bench::table::Table;
use crate::bench::words::{counted, figure};

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let protocol = &report.protocol;
    let pace = told(report.paces());
    let head = format!(
        "# The time of a Gauss-Newton step\n\n\
         Written by `cargo xtask bench step`: change the program, not this page.\n\n{}\n\
         One step of a two-layer ReLU network with one output on synthetic data: Gaussian \
         directions and a bias coordinate, d = {} in all, rows of length 1; targets are a smooth \
         function. Scale {}, ridge {}, {}, {}. The step is the first of a run, which is solved to \
         the adaptive inner tolerance of the first step (0.1), and is timed from the end of the \
         first forward pass to the step's report: preconditioner (build), inner solver (solve), \
         forward pass at the new weights (masks), certificate (update). Times are seconds, medians \
         of {}, or of fewer where those of a size took longer than {} s (the column *runs*); at each \
         size the solvers take turns. {}\n\n\
         The columns *planner* give what `nearlin::plan_at` predicts at the rates of this machine, \
         measured before the steps: the preconditioner and the iterations that it guesses. Its guess is for a typical step of a run to the end, not for \
         the first.\n",
        report.facts.paragraph(),
        protocol.inputs,
        protocol.scale,
        protocol.ridge,
        protocol.precision,
        counted(protocol.threads, "thread"),
        counted(protocol.repetitions, "repetition"),
        figure(protocol.size_seconds),
        pace,
    );
    head + &[Along::M, Along::N].map(|along| section(report, along)).concat()
}

/// The curves along one axis; nothing where there are none.
fn section(report: &Report, along: Along) -> String {
    let curves = report.along(along);
    if curves.iter().all(|curve| curve.points.is_empty()) {
        return String::new();
    }
    let (name, meaning, fixed) = (along.name(), along.meaning(), report.protocol.fixed(along));
    let told: Vec<String> = story::sentences(along, &curves)
        .into_iter()
        .map(|sentence| format!("- {sentence}\n"))
        .collect();
    format!(
        "\n## Against the {meaning} ({fixed})\n\n\
         ![Seconds of a step against the {meaning}](step-{name}.svg)\n\n{}\n{}\n{}",
        told.concat(),
        slopes(&curves),
        times(&curves)
    )
}

/// Every point of the curves.
pub(super) fn times(curves: &[&Curve]) -> Table {
    let header = [
        "solver",
        "n",
        "m",
        "runs",
        "seconds",
        "min to max",
        "build",
        "solve",
        "masks",
        "update",
        "iterations",
        "planner: seconds",
        "planner: iterations",
    ];
    let mut table = Table::new(&header, 1);
    for curve in curves {
        for point in &curve.points {
            let phases = &point.phases;
            let predicted = |of: fn(&super::Prediction) -> String| {
                point.predicted.as_ref().map_or_else(String::new, of)
            };
            table.push([
                curve.solver.to_owned(),
                point.n.to_string(),
                point.m.to_string(),
                point.samples.len().to_string(),
                figure(point.seconds.median),
                point.seconds.range(),
                figure(phases.build),
                figure(phases.solve),
                figure(phases.masks),
                figure(phases.update),
                point.inner_iterations.to_string(),
                predicted(|p| figure(p.seconds)),
                predicted(|p| format!("{:.0}", p.iterations)),
            ]);
        }
    }
    table
}

/// The exponents of the curves.
pub(super) fn slopes(curves: &[&Curve]) -> Table {
    let axis = curves.first().map_or("", |curve| curve.along.name());
    let exponent = format!("exponent of {axis}");
    let mut table = Table::new(&["solver", &exponent, "over the last three points"], 1);
    for curve in curves {
        table.push(std::iter::once(curve.solver.to_owned()).chain(curve.slopes.cells()));
    }
    table
}
