//! Advances and side bearings of the compiled-in font.
//!
//! The rasteriser behind `plotters` drops the space on the left side of every glyph, which leaves
//! letters unevenly spaced. With the widths read from the font itself each glyph can be put where
//! it belongs. Tables and fields follow the OpenType specification: `cmap` (format 4), `head`,
//! `hhea`, `hmtx`.

use super::PlotError;

/// The horizontal metrics of a TrueType font.
#[derive(Debug, Clone, Copy)]
pub(super) struct Face {
    data: &'static [u8],
    /// Offset of the format 4 subtable of `cmap`.
    characters: usize,
    /// Offset of `hmtx`, and how many full records it has.
    metrics: (usize, usize),
    /// Ascent minus descent in font units: what `plotters` calls the size of a font.
    line: f64,
}

/// A glyph's horizontal metrics, relative to the height of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Glyph {
    /// From one glyph's origin to the next one's.
    pub(super) advance: f64,
    /// From the origin to the first ink.
    pub(super) bearing: f64,
}

impl Face {
    /// The font compiled into the program.
    pub(super) fn compiled_in() -> Result<Self, PlotError> {
        Self::parse(epaint_default_fonts::UBUNTU_LIGHT).ok_or(PlotError::Font {
            detail: "one of the tables cmap (format 4), hhea and hmtx is missing or cut short",
        })
    }

    fn parse(data: &'static [u8]) -> Option<Self> {
        let (cmap, hhea, hmtx) =
            (table(data, *b"cmap")?, table(data, *b"hhea")?, table(data, *b"hmtx")?);
        let subtables = usize::from(u16_at(data, cmap + 2)?);
        let characters = (0..subtables)
            .filter_map(|k| Some(cmap + u32_at(data, cmap + 4 + 8 * k + 4)?))
            .find(|&at| u16_at(data, at) == Some(4))?;
        let line = i16_at(data, hhea + 4)? - i16_at(data, hhea + 6)?;
        let records = usize::from(u16_at(data, hhea + 34)?);
        (line > 0.0 && records > 0).then_some(Self {
            data,
            characters,
            metrics: (hmtx, records),
            line,
        })
    }

    /// The metrics of a character's glyph; of the empty box for characters the font lacks.
    pub(super) fn glyph(&self, character: char) -> Glyph {
        let index = self.index(character).unwrap_or(0);
        let (hmtx, records) = self.metrics;
        let advance = u16_at(self.data, hmtx + 4 * index.min(records - 1));
        let bearing_at =
            if index < records { 4 * index + 2 } else { 4 * records + 2 * (index - records) };
        Glyph {
            advance: f64::from(advance.unwrap_or(0)) / self.line,
            bearing: i16_at(self.data, hmtx + bearing_at).unwrap_or(0.0) / self.line,
        }
    }

    /// The width of a text, relative to the height of a line.
    pub(super) fn width(&self, text: &str) -> f64 {
        text.chars().map(|c| self.glyph(c).advance).sum()
    }

    /// The glyph's index by the format 4 subtable: segments of codes, ascending by their ends.
    fn index(&self, character: char) -> Option<usize> {
        let code = u16::try_from(u32::from(character)).ok()?;
        let doubled = usize::from(u16_at(self.data, self.characters + 6)?);
        let ends = self.characters + 14;
        let [starts, deltas, offsets] = [1, 2, 3].map(|k| ends + 2 + k * doubled);
        let segment = (0..doubled)
            .step_by(2)
            .find(|s| u16_at(self.data, ends + s).is_some_and(|e| e >= code))?;
        let within = code.checked_sub(u16_at(self.data, starts + segment)?)?;
        let delta = u16_at(self.data, deltas + segment)?;
        let index = match u16_at(self.data, offsets + segment)? {
            0 => code.wrapping_add(delta),
            offset => {
                let at = offsets + segment + usize::from(offset) + 2 * usize::from(within);
                match u16_at(self.data, at)? {
                    0 => 0,
                    index => index.wrapping_add(delta),
                }
            }
        };
        Some(usize::from(index))
    }
}

/// The offset of a table in the font file.
fn table(data: &[u8], tag: [u8; 4]) -> Option<usize> {
    (0..usize::from(u16_at(data, 4)?))
        .map(|k| 12 + 16 * k)
        .find(|&record| data.get(record..record + 4) == Some(&tag[..]))
        .and_then(|record| u32_at(data, record + 8))
}

fn bytes<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    bytes(data, at).map(u16::from_be_bytes)
}

fn i16_at(data: &[u8], at: usize) -> Option<f64> {
    bytes(data, at).map(|b| f64::from(i16::from_be_bytes(b)))
}

fn u32_at(data: &[u8], at: usize) -> Option<usize> {
    bytes(data, at).map(|b| u32::from_be_bytes(b) as usize)
}

#[cfg(test)]
mod tests {
    use plotters::style::{FontDesc, FontFamily, FontStyle};

    use super::*;
    use crate::plot::pen::register_font;

    /// One glyph has no kerning, so its advance must be the rasteriser's, which is cut to whole
    /// dots: at 1000 dots a line the two differ by less than one.
    #[test]
    fn advances_are_those_of_the_rasteriser() {
        register_font().unwrap();
        let face = Face::compiled_in().unwrap();
        let desc = FontDesc::new(FontFamily::SansSerif, 1000.0, FontStyle::Normal);
        for c in (' '..='~').chain("…−η√äßЖ".chars()) {
            let (theirs, _) = desc.box_size(&c.to_string()).unwrap();
            let ours = 1000.0 * face.glyph(c).advance;
            assert!(
                (0.0..1.0).contains(&(ours + 1e-3 - f64::from(theirs))),
                "{c}: {ours}, {theirs}"
            );
        }
    }

    /// The stem of an `l` stands off its origin, a blank has no bearing, a missing character is
    /// the empty box.
    #[test]
    fn bearings_and_missing_characters() {
        let face = Face::compiled_in().unwrap();
        assert!(face.glyph('l').bearing > 0.03, "{:?}", face.glyph('l'));
        assert!(face.glyph('l').bearing < face.glyph('l').advance);
        assert!(face.glyph(' ').bearing.abs() < 1e-9);
        assert_eq!(face.glyph('\u{4e00}'), face.glyph('\u{10ffff}'));
    }

    #[test]
    fn broken_fonts_are_refused() {
        for cut in [0, 3, 12, 100, 300] {
            assert!(Face::parse(&epaint_default_fonts::UBUNTU_LIGHT[..cut]).is_none(), "{cut}");
        }
    }
}
