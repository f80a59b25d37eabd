//! `cargo xtask bench`: the figures of docs/benchmarks, measured again.
//!
//! Every benchmark writes a JSON file with all samples and a page that is computed from it, so that
//! the sentences of a page always belong to its numbers.

mod facts;
mod files;
mod fits;
mod grid;
pub(crate) mod kernels;
mod krylov;
mod losses;
mod lstsq;
mod map;
mod pace;
mod peers;
mod regress;
mod runs;
mod slopes;
mod spread;
mod step;
mod table;
mod words;

use std::error::Error;
use std::process::ExitCode;

use clap::Subcommand;

pub(crate) use files::root;
use kernels::Group;

/// Which benchmark to run: `step` where nothing is said.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    step: step::Args,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The time of one Gauss-Newton step against the width m and against the examples n.
    Step(step::Args),
    /// The time to a relative residual of 1e-8 beside other programs, on one thread.
    Peers(peers::Args),
    /// Walsh-Hadamard transforms against the rate of additions and of copies.
    Fwht(kernels::Args),
    /// The popcount Gram matrix against the rate of popcounts.
    Gram(kernels::Args),
    /// Products with the Jacobian and the forward pass against the rate of multiply-adds.
    Jacobian(kernels::Args),
    /// Cholesky, QR and triangular solves.
    Dense(kernels::Args),
    /// SRHT, TensorSRHT and Gaussian sketches against reading the matrix.
    Sketch(kernels::Args),
    /// What the kernel groups measured, on one page.
    Summary(kernels::summary::Args),
    /// The time to a relative residual of 1e-8 on one thread, without other programs.
    Train(peers::alone::Args),
    /// Test errors and times of whole fits beside other programs, on tables that packages ship.
    Fits(fits::Args),
    /// The planner's choice beside every solver, on a grid of shapes.
    Grid(grid::Args),
    /// The quickest solver for one step, for examples against neurons up to their square.
    Map(map::Args),
    /// The loss solver on plain linear models beside scikit-learn.
    Losses(losses::Args),
    /// The Krylov solvers beside `SciPy`'s on generated problems.
    Krylov(krylov::Args),
    /// Least squares by sketch and precondition beside LAPACK, faer and LSQR.
    Lstsq(lstsq::Args),
    /// Whole runs of the program on the shipped tables: certificates, test errors, memory.
    Runs(runs::Args),
}

/// What every benchmark returns.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Runs the benchmark asked for.
pub(crate) fn run(args: &Args) -> ExitCode {
    let done = match &args.what {
        None => step::run(&args.step),
        Some(What::Step(args)) => step::run(args),
        Some(What::Peers(args)) => peers::run(args),
        Some(What::Fwht(args)) => kernels::run(Group::Fwht, args),
        Some(What::Gram(args)) => kernels::run(Group::Gram, args),
        Some(What::Jacobian(args)) => kernels::run(Group::Jacobian, args),
        Some(What::Dense(args)) => kernels::run(Group::Dense, args),
        Some(What::Sketch(args)) => kernels::run(Group::Sketch, args),
        Some(What::Summary(args)) => kernels::summary::run(args),
        Some(What::Train(args)) => peers::alone::run(args),
        Some(What::Fits(args)) => fits::run(args),
        Some(What::Grid(args)) => grid::run(args),
        Some(What::Map(args)) => map::run(args),
        Some(What::Losses(args)) => losses::run(args),
        Some(What::Krylov(args)) => krylov::run(args),
        Some(What::Lstsq(args)) => lstsq::run(args),
        Some(What::Runs(args)) => runs::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.args)
    }

    #[test]
    fn step_is_the_benchmark_where_nothing_is_said() {
        let args = parsed("bench --quick").unwrap();
        assert!(args.what.is_none());
        assert_eq!(
            format!("{:?}", args.step),
            match parsed("bench step --quick").unwrap().what {
                Some(What::Step(step)) => format!("{step:?}"),
                other => panic!("{other:?}"),
            }
        );
        assert!(parsed("bench --quick peers --peers a").is_err());
        assert!(parsed("bench peers").is_err(), "the scripts' folder is required");
        assert!(matches!(parsed("bench peers --peers a").unwrap().what, Some(What::Peers(_))));
    }

    #[test]
    fn kernel_groups_share_their_options() {
        for group in ["fwht", "gram", "jacobian", "dense", "sketch"] {
            let line = format!("bench {group} --peers --threads 1,2 --reps 5 --compare a.json");
            let args = parsed(&line).unwrap();
            assert!(args.what.is_some(), "{line}");
            for wrong in ["--quick --full", "--reps 2", "--threads 0"] {
                assert!(parsed(&format!("bench {group} {wrong}")).is_err(), "{wrong}");
            }
        }
        assert!(matches!(parsed("bench train --quick").unwrap().what, Some(What::Train(_))));
    }
}
