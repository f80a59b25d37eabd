//! Drawing in layout units: the only place that speaks to `plotters`.
//!
//! Both formats get the same drawing on a grid of [`FINE`] dots to the layout unit. The SVG keeps
//! that grid as its view box; the PNG is averaged down from it, which smooths what the backend's
//! rasteriser leaves rough.

use plotters::coord::Shift;
use plotters::prelude::{
    Circle, DrawingArea, DrawingBackend, FontFamily, FontStyle, FontTransform, PathElement, Polygon,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, RGBColor, ShapeStyle, TextStyle};

use super::PlotError;
use super::glyphs::Face;

/// Dots of the drawing grid to one layout unit.
pub(super) const FINE: u32 = 4;

/// The family under which the compiled-in font is registered; a viewer of the SVG takes its own.
const FAMILY: &str = "sans-serif";

/// How far glyphs must sink for the backend's vertical centre to be that of small letters, relative
/// to the height of a line.
const DROP: f64 = 0.15;

/// A place in layout units, from the top left corner.
pub(super) type Place = (f64, f64);

/// Size, colour and weight of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    /// Height of a line in layout units.
    pub(super) size: f64,
    /// The text's colour.
    pub(super) colour: RGBColor,
    /// Whether it is a headline.
    pub(super) bold: bool,
}

/// Registers the compiled-in font.
pub(super) fn register_font() -> Result<(), PlotError> {
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    plotters::style::register_font(FAMILY, FontStyle::Normal, font)
        .map_err(|_| PlotError::Font { detail: "not a TrueType font" })
}

/// The width of a text in layout units, with some allowance for the wider fonts of SVG viewers,
/// whose bold is wider still.
pub(super) fn width(text: &str, font: Type) -> Result<f64, PlotError> {
    let allowance = if font.bold { 1.25 } else { 1.1 };
    Ok(allowance * font.size * Face::compiled_in()?.width(text))
}

/// A backend's error as ours.
pub(super) fn draw_error(error: impl std::fmt::Display) -> PlotError {
    PlotError::Draw { detail: error.to_string() }
}

fn dot(place: Place) -> (i32, i32) {
    let fine = f64::from(FINE);
    ((place.0 * fine).round() as i32, (place.1 * fine).round() as i32)
}

/// Draws on one area of a backend.
pub(super) struct Pen<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    /// The compiled-in font, where texts are drawn with it; none where they stay texts.
    own_font: Option<Face>,
}

impl<'a, DB: DrawingBackend> Pen<'a, DB> {
    /// A pen for an area; `own_font` where texts are drawn and not kept as texts.
    pub(super) fn new(area: &'a DrawingArea<DB, Shift>, own_font: Option<Face>) -> Self {
        Self { area, own_font }
    }

    /// Paints the whole area white.
    pub(super) fn clear(&self) -> Result<(), PlotError> {
        self.area.fill(&plotters::style::WHITE).map_err(draw_error)
    }

    /// A straight line of some width.
    pub(super) fn line(
        &self,
        ends: [Place; 2],
        width: f64,
        colour: RGBColor,
    ) -> Result<(), PlotError> {
        let style = ShapeStyle {
            color: colour.to_rgba(),
            filled: true,
            stroke_width: (width * f64::from(FINE)).round().max(1.0) as u32,
        };
        self.area.draw(&PathElement::new(ends.map(dot).to_vec(), style)).map_err(draw_error)
    }

    /// A line through all points with round corners, each stretch on its own: the backend's own
    /// thick paths tear at sharp angles.
    pub(super) fn path(
        &self,
        points: &[Place],
        width: f64,
        colour: RGBColor,
    ) -> Result<(), PlotError> {
        for pair in points.windows(2) {
            self.line([pair[0], pair[1]], width, colour)?;
        }
        let corners = points.get(1..points.len().saturating_sub(1)).unwrap_or_default();
        for &corner in corners {
            let radius = width * f64::from(FINE) / 2.0;
            let disc = Circle::new(dot(corner), radius.round() as u32, colour.filled());
            self.area.draw(&disc).map_err(draw_error)?;
        }
        Ok(())
    }

    /// A filled polygon.
    pub(super) fn shape(&self, corners: &[Place], colour: RGBColor) -> Result<(), PlotError> {
        let corners: Vec<(i32, i32)> = corners.iter().copied().map(dot).collect();
        self.area.draw(&Polygon::new(corners, colour.filled())).map_err(draw_error)
    }

    /// A text anchored at a place.
    pub(super) fn text(
        &self,
        text: &str,
        at: Place,
        (h_pos, v_pos): (HPos, VPos),
        font: Type,
    ) -> Result<(), PlotError> {
        self.write(text, at, Pos::new(h_pos, v_pos), font, false)
    }

    /// A text that reads upwards, centred at a place.
    pub(super) fn text_upwards(&self, text: &str, at: Place, font: Type) -> Result<(), PlotError> {
        self.write(text, at, Pos::new(HPos::Center, VPos::Center), font, true)
    }

    fn write(
        &self,
        text: &str,
        at: Place,
        anchor: Pos,
        font: Type,
        upwards: bool,
    ) -> Result<(), PlotError> {
        let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
        let turn = if upwards { FontTransform::Rotate270 } else { FontTransform::None };
        let desc = FontDesc::new(FontFamily::SansSerif, font.size * f64::from(FINE), weight);
        let style = TextStyle::from(desc.transform(turn)).color(&font.colour);
        match self.own_font {
            None => self.area.draw_text(text, &style.pos(anchor), dot(at)).map_err(draw_error),
            Some(face) => {
                let style = style.pos(Pos::new(HPos::Left, anchor.v_pos));
                self.write_glyphs(face, text, at, (anchor.h_pos, font, upwards), &style)
            }
        }
    }

    /// Puts glyph after glyph where the font's metrics say, each in several passes a dot apart:
    /// the compiled-in font is a light one.
    fn write_glyphs(
        &self,
        face: Face,
        text: &str,
        (x, y): Place,
        (h_pos, font, upwards): (HPos, Type, bool),
        style: &TextStyle<'_>,
    ) -> Result<(), PlotError> {
        let mut along = match h_pos {
            HPos::Left => 0.0,
            HPos::Center => -0.5 * font.size * face.width(text),
            HPos::Right => -font.size * face.width(text),
        };
        let drop = DROP * font.size;
        let passes = if font.bold { (font.size / 6.0).round() as i32 } else { 2 };
        for character in text.chars() {
            let glyph = face.glyph(character);
            let ink = along + font.size * glyph.bearing;
            let (x, y) = dot(if upwards { (x + drop, y - ink) } else { (x + ink, y + drop) });
            for pass in 0..passes {
                let at = if upwards { (x, y - pass) } else { (x + pass, y) };
                let letter = character.encode_utf8(&mut [0; 4]).to_owned();
                self.area.draw_text(&letter, style, at).map_err(draw_error)?;
            }
            along += font.size * glyph.advance;
        }
        Ok(())
    }
}
