//! What was chosen, and why.

use nearlin::{Criterion, MetricForm, WidthChoice};

use crate::program::args::{FitArgs, RidgeRows};
use crate::program::batches::Batching;
use crate::program::setup::Setup;
use crate::program::words::{counted, figure, listed, plain};
use crate::table::Task;

/// Classes whose rows are counted.
const CLASSES: usize = 8;

/// Columns whose importance is told.
const COLUMNS: usize = 6;

/// The metric and what it gained.
pub(super) fn metric(setup: &Setup) -> Option<String> {
    let choice = setup.metric.as_ref()?;
    let (first, best) = (&choice.rounds[0], &choice.rounds[choice.best]);
    let bias = match choice.metric.bias() {
        1.0 => String::new(),
        bias => format!(", bias {}", plain(bias)),
    };
    let form = match best.round {
        0 if best.form == MetricForm::Diagonal => "columns in their own units".into(),
        0 => best.form.name().to_owned(),
        round => format!("{} after {}", best.form.name(), counted(round, "round")),
    };
    let [told, plainly] = [best, first].map(|round| match setup.problem.target.task() {
        Task::Regression => format!("relative error {}", figure(round.error)),
        Task::Classification => format!("{:.2}% wrong", 100.0 * round.wrong),
    });
    let network = choice.network.as_ref().map_or(String::new(), |rounds| {
        let errors: Vec<String> = rounds.errors.iter().map(|&error| figure(error)).collect();
        format!(
            "; {} on networks with {}{}, relative errors on others {}",
            counted(rounds.kept, "more round"),
            counted(rounds.rows, "equation"),
            if rounds.form == best.form {
                String::new()
            } else {
                format!(", the last of them {}", rounds.form.name())
            },
            errors.join(", "),
        )
    });
    Some(format!(
        "{form}{bias}, learned from {}: {told} across halves, {plainly} for inputs as they are{network}",
        counted(choice.rows, "equation"),
    ))
}

/// Why so many neurons.
pub(super) fn width(setup: &Setup) -> String {
    let Some(choice) = setup.width else { return String::new() };
    let WidthChoice { tried, error, limit, excess, rows, .. } = choice;
    // Nothing is left at any width where all targets are the same.
    if limit == 0.0 {
        return String::new();
    }
    let more = 100.0 * (error / limit - 1.0);
    let swift = if choice.is_swift() { ", and more take next to no time" } else { "" };
    let all = setup.equations.rows();
    let grown = if rows < all && excess > 0.0 {
        format!(" on {rows} equations, {:.1}% expected on all", 100.0 * excess)
    } else {
        String::new()
    };
    let (more, side) = if more < 0.0 { (-more, "below") } else { (more, "above") };
    format!(
        "; at width {tried} the error of left-out rows is {more:.1}% {side} that of infinite width{grown}{swift}"
    )
}

/// The columns that matter most.
pub(super) fn importances(setup: &Setup) -> String {
    let columns = setup.importances();
    let named: Vec<String> =
        columns.iter().map(|(column, part)| format!("{column} {:.1}%", 100.0 * part)).collect();
    format!("squared gradient by column: {}", listed(&named, COLUMNS))
}

/// The ridge and how it was found.
pub(super) fn ridge(args: &FitArgs, setup: &Setup) -> String {
    let ridge = plain(setup.options.ridge);
    let Some(path) = setup.ridge_path.as_ref().filter(|_| args.ridge.0.is_none()) else {
        return format!("{ridge}, as asked for");
    };
    let (best, points) = (&path.points[path.best], &path.points);
    let ends = [&points[0], &points[points.len() - 1]];
    let [least, most] = ends.map(|end| format!("{} at {}", figure(end.error), plain(end.ridge)));
    let edge = if path.best == 0 { "; no smaller one was judged" } else { "" };
    let grown = if setup.sampled().is_some() {
        format!(" ({} for the sample)", plain(path.ridge()))
    } else {
        String::new()
    };
    let part = match (path.rows, setup.equations.rows()) {
        (some, all) if some < all && args.ridge_rows == RidgeRows::All => {
            format!(
                " on {some} of {all} equations, as all would tell too little of ridges so small"
            )
        }
        (some, all) if some < all => format!(" on {some} of {all} equations"),
        _ => String::new(),
    };
    let held_out = path.criterion == Criterion::HeldOut;
    let measure = if held_out { "loss" } else { "error" };
    let effective = figure(best.effective_parameters);
    let effective = if held_out {
        String::new()
    } else {
        format!(", {effective} effective parameters for an output")
    };
    format!(
        "{ridge}{grown}, by {}{part}: relative {measure} {} ({least}, {most}){effective}{edge}",
        path.criterion.name(),
        figure(best.error),
    )
}

/// How rows are gone over in batches.
pub(super) fn batches(batching: Batching) -> String {
    let passes = if batching.passes == 1 {
        "one pass".into()
    } else {
        format!("{} passes", batching.passes)
    };
    let sample = if batching.whole() {
        String::new()
    } else {
        format!("; choices and errors by a sample of {}", counted(batching.sample_rows, "row"))
    };
    format!("{} at a time, {passes} at most{sample}", counted(batching.rows, "row"))
}

/// How many classes, and the rows of each.
pub(super) fn classes(setup: &Setup) -> String {
    let classes = &setup.problem.classes;
    if classes.is_empty() {
        return String::new();
    }
    let counts: Vec<String> = classes
        .iter()
        .map(|class| format!("{} ({} + {})", class.label, class.train, class.test))
        .collect();
    let of = if setup.sampled().is_some() { " of the sample" } else { "" };
    // There are two classes at least.
    format!(
        ", {} classes (rows{of} to train + test on): {}",
        classes.len(),
        listed(&counts, CLASSES)
    )
}
