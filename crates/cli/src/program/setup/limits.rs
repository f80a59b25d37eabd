//! What a machine can hold.

use crate::program::error::ProgramError;
use crate::program::{memory, words};

/// Refuses weights whose number of bytes is no number of this machine.
pub(super) fn check_weights(
    width: usize,
    inputs: usize,
    outputs: usize,
) -> Result<(), ProgramError> {
    let entries = width.checked_mul(inputs + outputs);
    // The optimiser holds fewer than sixteen such arrays.
    match entries.and_then(|entries| entries.checked_mul(16 * size_of::<f64>())) {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
        _ => {
            let needed = 128.0 * width as f64 * (inputs + outputs) as f64;
            let there = memory::machine_bytes();
            let there = there.map_or("less".into(), |there| words::bytes(there as f64));
            Err(too_large(width, inputs, needed, format!("this machine has {there}")))
        }
    }
}

/// Bytes that training may take: what was asked for or the machine has, less what the process holds.
pub(super) fn budget(asked: Option<u64>, held: u64) -> f64 {
    let there = asked.or_else(memory::machine_bytes);
    there.map_or(f64::INFINITY, |there| there as f64 - held as f64)
}

pub(super) fn too_large(width: usize, inputs: usize, needed: f64, there: String) -> ProgramError {
    ProgramError::TooLarge { width, inputs, needed: words::bytes(needed), there }
}
