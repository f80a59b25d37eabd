//! The parts of the program `nearlin`: tables in, model files, output files, pictures, and the
//! commands that put them together.

pub mod calibration;
pub mod model;
pub mod onnx;
pub mod output;
pub mod plot;
pub mod program;
pub mod table;
