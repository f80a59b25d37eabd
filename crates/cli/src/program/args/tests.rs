//! The command line, parsed.

use clap::CommandFactory;

use nearlin::SolverKind;

use super::*;

fn fit(options: &[&str]) -> Result<FitArgs, clap::Error> {
    let call = ["nearlin", "fit", "data.csv", "--target", "y"].iter().chain(options);
    Args::try_parse_from(call).map(|args| match args.command {
        Command::Fit(args) => args,
        other => panic!("{other:?}"),
    })
}

#[test]
fn the_command_line_is_consistent() {
    Args::command().debug_assert();
}

/// The defaults of the library, so that there is one place to look them up; but where ridge and tolerance are
/// chosen, steps end by what they gain, and the network must be near its linear model.
#[test]
fn defaults() {
    let args = fit(&[]).unwrap();
    let automatic = Options::default().automatic();
    assert_eq!(args.options(), automatic);
    for given in [&["--ridge", "0.01"], &["--tol", "1e-8"]] {
        assert_eq!(fit(given).unwrap().options(), Options::default());
    }
    let expected = table::Options { target: "y".into(), ..table::Options::default() };
    assert_eq!(args.table_options(), expected);
}

#[test]
fn every_option_arrives() {
    let args = fit(&[
        "--task",
        "classification",
        "--width",
        "64",
        "--scale",
        "3",
        "--solver",
        "srht",
        "--ridge",
        "1e-3",
        "--tol",
        "1e-6",
        "--max-steps",
        "7",
        "--rows",
        "90",
        "--train-rows",
        "60",
        "--seed",
        "18446744073709551615",
        "--precision",
        "f32",
        "--signs",
        "orthogonal",
        "--sketch-rows",
        "5",
    ]);
    let args = args.unwrap();
    let expected = Options::default()
        .width(64)
        .scale(Scale::Fixed(3.0))
        .solver(Some(SolverKind::Srht))
        .ridge(1e-3)
        .tolerance(1e-6)
        .max_steps(7)
        .seed(u64::MAX)
        .precision(Precision::F32)
        .signs(Some(Signs::Orthogonal))
        .sketch_rows(Some(5));
    assert_eq!(args.options(), expected);
    let table = args.table_options();
    assert_eq!(table.task, Some(table::Task::Classification));
    assert_eq!((table.rows, table.holdout), (Some(90), table::Holdout::TrainRows(60)));
    assert_eq!(table.seed, u64::MAX);
    let fraction = fit(&["--test-fraction", "0"]).unwrap().table_options().holdout;
    assert_eq!(fraction, table::Holdout::Fraction(0.0));
}

/// What the option parsers accept is what the library accepts.
#[test]
fn accepted_options_pass_the_library() {
    for option in ["--width", "--scale", "--ridge", "--tol", "--sketch-rows"] {
        for value in ["0", "1", "2", "3", "-1", "-0.5", "1e400", "inf", "-inf", "nan", "x", ""] {
            if let Ok(args) = fit(&[option, value]) {
                assert_eq!(args.options().check(), Ok(()), "{option} {value}");
            }
        }
    }
}
