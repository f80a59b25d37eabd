//! From a chart to a file, in either format.

use std::fmt;
use std::path::Path;

use plotters::prelude::{BitMapBackend, IntoDrawingArea, SVGBackend};
use png::{AdaptiveFilterType, BitDepth, ColorType, Compression, Encoder, EncodingError};

use super::draw::Layout;
use super::glyphs::Face;
use super::pen::{self, FINE, Pen};
use super::{Chart, PlotError};
use crate::output;

/// Pixels of a PNG to one layout unit; divides [`FINE`].
const SHARP: u32 = 2;

/// A file format for charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Scalable vector graphics; texts stay texts in the viewer's sans-serif font.
    Svg,
    /// Portable network graphics, two pixels to the layout unit, font compiled in.
    Png,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Svg => "SVG",
            Self::Png => "PNG",
        })
    }
}

/// The format that a file's ending asks for, upper or lower case; for checking an option before
/// any work is done.
///
/// # Errors
/// [`PlotError::Ending`] for any ending but `.svg` and `.png`, or none.
///
/// # Examples
/// ```
/// use nearlin_cli::plot::{Format, format_of};
///
/// assert_eq!(format_of("out/loss.SVG".as_ref())?, Format::Svg);
/// let error = format_of("a.pdf".as_ref()).unwrap_err().to_string();
/// assert_eq!(error, "chart file `a.pdf` has the ending .pdf, expected .svg or .png");
/// # Ok::<(), nearlin_cli::plot::PlotError>(())
/// ```
pub fn format_of(path: &Path) -> Result<Format, PlotError> {
    let found = path.extension().map(|ending| ending.to_string_lossy().into_owned());
    match found.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("svg") => Ok(Format::Svg),
        Some("png") => Ok(Format::Png),
        _ => Err(PlotError::Ending { path: path.to_owned(), found }),
    }
}

impl Chart {
    /// Writes the chart to a file, as SVG or PNG by the file's ending.
    ///
    /// The picture is drawn in memory and written as [`output::write`] writes: whoever reads `path`
    /// finds the old file or the new one, never a part. The same chart gives the same bytes.
    ///
    /// # Errors
    /// [`PlotError::Ending`] for an ending that names no format, [`PlotError::Empty`] if the axes
    /// can show no point at all, [`PlotError::Write`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), PlotError> {
        let format = format_of(path)?;
        pen::register_font()?;
        let layout = Layout::of(self)?;
        let picture = match format {
            Format::Svg => svg(&layout)?.into_bytes(),
            Format::Png => png(&layout)?,
        };
        Ok(output::write(path, |out| out.write_all(&picture))?)
    }
}

/// The drawing as SVG: the fine grid is the view box, the layout the size.
fn svg(layout: &Layout<'_>) -> Result<String, PlotError> {
    let (width, height) = layout.size();
    let (fine_width, fine_height) = (width * FINE, height * FINE);
    let mut text = String::new();
    {
        let area =
            SVGBackend::with_string(&mut text, (fine_width, fine_height)).into_drawing_area();
        layout.draw(&Pen::new(&area, None))?;
        area.present().map_err(pen::draw_error)?;
    }
    let fine_size = format!("width=\"{fine_width}\" height=\"{fine_height}\"");
    Ok(text.replacen(&fine_size, &format!("width=\"{width}\" height=\"{height}\""), 1))
}

/// Draws on the fine grid, averages down to [`SHARP`] pixels a unit and encodes.
fn png(layout: &Layout<'_>) -> Result<Vec<u8>, PlotError> {
    let (width, height) = layout.size();
    let fine_size = (width * FINE, height * FINE);
    let mut fine = vec![0u8; 3 * fine_size.0 as usize * fine_size.1 as usize];
    {
        let area = BitMapBackend::with_buffer(&mut fine, fine_size).into_drawing_area();
        layout.draw(&Pen::new(&area, Some(Face::compiled_in()?)))?;
        area.present().map_err(pen::draw_error)?;
    }
    let pixels = averaged(&fine, fine_size.0 as usize, (FINE / SHARP) as usize);
    encoded(&pixels, (width * SHARP, height * SHARP)).map_err(pen::draw_error)
}

/// An RGB picture as PNG.
fn encoded(pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    encoder.set_adaptive_filter(AdaptiveFilterType::Adaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(bytes)
}

/// Means over `block x block` pixels of an RGB picture whose sides `block` divides.
fn averaged(fine: &[u8], fine_width: usize, block: usize) -> Vec<u8> {
    let (row, area) = (3 * fine_width, block * block);
    let mut pixels = Vec::with_capacity(fine.len() / area);
    for rows in fine.chunks_exact(row * block) {
        for left in (0..fine_width).step_by(block) {
            for channel in 0..3 {
                let inside = (0..area).map(|k| {
                    usize::from(rows[row * (k / block) + 3 * (left + k % block) + channel])
                });
                pixels.push(((inside.sum::<usize>() + area / 2) / area) as u8);
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_rounded_means_of_blocks() {
        // 4 x 2 pixels in blocks of 2 x 2: red counts, green is constant, blue has rounding.
        let blue = [[0, 0, 255, 0], [1, 1, 255, 255]];
        let fine: Vec<u8> =
            (0..8u8).flat_map(|k| [k, 7, blue[usize::from(k / 4)][usize::from(k % 4)]]).collect();
        // red: (0 + 1 + 4 + 5) / 4 = 2.5 and (2 + 3 + 6 + 7) / 4 = 4.5, halves rounded up
        assert_eq!(averaged(&fine, 4, 2), [3, 7, 1, 5, 7, 191]);
    }
}
