//! The command line of `nearlin plan`.

use super::FitArgs;

const PLAN_EXAMPLES: &str = "\
Examples:
  nearlin plan diamonds.csv --target log_price
  nearlin plan diamonds.csv --target log_price --width 65536 --precision f32 --report plan.json
  nearlin plan --calibrate";

/// Show what a fit would run, what each solver would cost, and why; takes the options of fit.
///
/// Outputs are checked as fit checks them, but only --report is written.
#[derive(Debug, clap::Args)]
#[command(after_help = PLAN_EXAMPLES)]
pub(in crate::program) struct PlanArgs {
    /// Measure this machine with all threads, a quarter of a minute, and keep its rates (nearlin/rates.json in `$XDG_CACHE_HOME` or
    /// ~/.cache) for later plans and fits on such a processor; goes alone.
    #[arg(long, exclusive = true)]
    pub(in crate::program) calibrate: bool,

    #[command(flatten)]
    pub(in crate::program) fit: Option<FitArgs>,
}
