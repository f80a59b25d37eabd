//! Rates of this machine, measured once and kept for later plans.

use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs};

use nearlin::Rates;
use serde::{Deserialize, Serialize};

use super::error::ProgramError;
use crate::output;

/// What the rates mean: those that were kept when they meant something else count as none.
const MEANING: u32 = 2;

/// What is kept.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// [`MEANING`].
    meaning: u32,
    /// The processor that was measured, as it names itself.
    processor: String,
    rates: Rates,
}

/// The rates for a plan: this machine's, if a processor of its name has been measured, else a common machine's; and
/// whether they are this machine's. What cannot be a machine's counts as none.
pub(super) fn rates() -> (Rates, bool) {
    let kept = path().and_then(|path| fs::read_to_string(path).ok());
    let kept = kept.and_then(|text| serde_json::from_str::<Kept>(&text).ok());
    match kept {
        Some(kept)
            if (kept.meaning, &kept.processor) == (MEANING, &processor())
                && kept.rates.is_valid() =>
        {
            (kept.rates, true)
        }
        _ => (Rates::default(), false),
    }
}

/// Measures this machine with the threads of the present pool and keeps what was found; says where.
///
/// # Errors
/// [`ProgramError`] where there is no place for it, or it cannot be written.
pub(super) fn calibrate() -> Result<String, ProgramError> {
    let path = path().ok_or(ProgramError::NoCache)?;
    let start = Instant::now();
    let mut clock = || start.elapsed().as_secs_f64();
    let rates = Rates::measure(faer::Par::rayon(0), &mut clock)?;
    let kept = Kept { meaning: MEANING, processor: processor(), rates };
    if let Some(folder) = path.parent() {
        // What goes wrong here is told when the file is written.
        let _ = fs::create_dir_all(folder);
    }
    output::write(&path, |out| {
        serde_json::to_writer_pretty(&mut *out, &kept)?;
        out.write_all(b"\n")
    })
    .map_err(ProgramError::Write)?;
    Ok(path.display().to_string())
}

/// `nearlin/rates.json` in the user's folder for what can be had again.
fn path() -> Option<PathBuf> {
    let of = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = of("XDG_CACHE_HOME").or_else(|| of("HOME").map(|home| home.join(".cache")))?;
    Some(folder.join("nearlin").join("rates.json"))
}

/// What the processor calls itself; of little use where the system does not tell.
fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split_once(':')).map_or("", |(_, name)| name.trim());
    format!("{name} ({})", env::consts::ARCH)
}
