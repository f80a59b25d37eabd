//! What can go wrong when a chart is written.

use std::path::PathBuf;

use crate::output::OutputError;

/// Why a chart was not written. The file at its path is as it was before the call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// No series has a point that the axes can show.
    #[error(
        "chart {title:?} has nothing to show: of its {points} points none is finite on both axes \
         and positive on the logarithmic ones"
    )]
    Empty {
        /// The chart's title.
        title: String,
        /// How many points it has, none of which can be shown.
        points: usize,
    },
    /// The file's ending names no format.
    #[error(
        "chart file `{}` has {}, expected .svg or .png",
        path.display(),
        found.as_ref().map_or_else(|| "no ending".into(), |e| format!("the ending .{e}"))
    )]
    Ending {
        /// The file as given.
        path: PathBuf,
        /// Its ending without the dot, if it has one.
        found: Option<String>,
    },
    /// The compiled-in font could not be used.
    #[error("the compiled-in font cannot be read: {detail}")]
    Font {
        /// What was found.
        detail: &'static str,
    },
    /// The drawing backend failed.
    #[error("the chart could not be drawn: {detail}")]
    Draw {
        /// The backend's message.
        detail: String,
    },
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] OutputError),
}
