//! What a machine can hold.

use nearlin::{Options, Signs, TrainError, hadamard_order};

use crate::program::error::ProgramError;
use crate::program::{memory, words};

/// Refuses a width that orthogonal signs have no pattern for, and weights as [`check_weights`].
pub(super) fn check_network(
    options: &Options,
    inputs: usize,
    outputs: usize,
) -> Result<(), ProgramError> {
    let patterns = 2 * hadamard_order(outputs);
    if options.signs == Some(Signs::Orthogonal) && !options.width.is_multiple_of(patterns) {
        let expected = "a multiple of twice the outputs, rounded up to the order of a Hadamard \
                        matrix, for orthogonal signs";
        let value = options.width as f64;
        return Err(TrainError::Option { name: "width", value, expected }.into());
    }
    check_weights(options.width, inputs, outputs)
}

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
            Err(too_large(width, inputs, needed, format!("there are {there} of memory")))
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
