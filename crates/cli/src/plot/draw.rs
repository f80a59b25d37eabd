//! Layout and drawing of a chart, the same for every format.

use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

use super::axis::Range;
use super::legend::{self, Entry};
use super::marks::{self, Look};
use super::pen::{self, Pen, Place, Type};
use super::{Chart, PlotError, Series, Style, strokes};

const INK: RGBColor = RGBColor(34, 34, 34);
const SOFT_INK: RGBColor = RGBColor(85, 85, 85);
const AXIS: RGBColor = RGBColor(90, 90, 90);
const GRID: RGBColor = RGBColor(222, 222, 222);
const FAINT_GRID: RGBColor = RGBColor(240, 240, 240);

const TITLE: Type = Type { size: 25.0, colour: INK, bold: true };
const SUBTITLE: Type = Type { size: 18.0, colour: SOFT_INK, bold: false };
const NAME: Type = Type { size: 18.0, colour: INK, bold: false };
const TICK: Type = Type { size: 17.0, colour: INK, bold: false };
const LABEL: Type = Type { size: 18.0, colour: INK, bold: false };

const WIDTH: f64 = 960.0;
/// Height of the frame that holds the data; titles and legend add to it.
const FRAME_HEIGHT: f64 = 430.0;
const EDGE: f64 = 24.0;
const LEGEND_ROW: f64 = 26.0;
/// Room for a name beside a vertical axis.
const LONGEST_NAME: f64 = 260.0;
/// Most markers on one line.
const MARKERS: usize = 40;

/// Where everything goes, in layout units.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    chart: &'a Chart,
    x: Range,
    y: Range,
    legend: Vec<Entry>,
    looks: Vec<Look>,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    height: f64,
}

impl<'a> Layout<'a> {
    /// Lays out a chart.
    ///
    /// # Errors
    /// [`PlotError::Empty`] if no point can be shown, [`PlotError::Draw`] if texts cannot be
    /// measured.
    pub(super) fn of(chart: &'a Chart) -> Result<Self, PlotError> {
        let shown: Vec<Place> =
            chart.series.iter().flat_map(|s| coordinates(chart, s)).flatten().collect();
        if shown.is_empty() {
            let points = chart.series.iter().map(|s| s.points.len()).sum();
            return Err(PlotError::Empty { title: chart.title.clone(), points });
        }
        let (mut xs, ys): (Vec<f64>, Vec<f64>) = shown.into_iter().unzip();
        if !chart.y.names.is_empty() {
            // Amounts beside names are compared by their distance from nothing.
            xs.push(0.0);
        }
        let x = Range::around(chart.x.scale, &xs, 10);
        let y = if chart.y.names.is_empty() {
            Range::around(chart.y.scale, &ys, 9)
        } else {
            let short = |name: &String| legend::shortened(name, TICK, LONGEST_NAME);
            Range::of_names(&chart.y.names.iter().map(short).collect::<Result<Vec<_>, _>>()?)
        };
        let mut widest = 0.0f64;
        for tick in &y.ticks {
            widest = widest.max(pen::width(&tick.label, TICK)?);
        }
        let label = if chart.y.label.is_empty() { 0.0 } else { 30.0 };
        let (left, right) = (EDGE + label + widest + 10.0, WIDTH - EDGE - 8.0);
        let legend = legend::entries(chart, NAME, right - left)?;
        let rows = legend.last().map_or(0, |entry| entry.row + 1);
        let top = legend_top(chart) + rows as f64 * LEGEND_ROW + 16.0;
        let bottom = top + FRAME_HEIGHT;
        let below = if chart.x.label.is_empty() { 0.0 } else { 30.0 };
        let height = (bottom + 30.0 + below + EDGE - 8.0).ceil();
        let looks = marks::looks(chart.series.iter().map(|s| s.style));
        Ok(Self { chart, x, y, legend, looks, left, right, top, bottom, height })
    }

    /// Width and height of the picture in layout units.
    pub(super) fn size(&self) -> (u32, u32) {
        (WIDTH as u32, self.height as u32)
    }

    /// Draws everything.
    ///
    /// # Errors
    /// [`PlotError::Draw`] with the backend's message.
    pub(super) fn draw<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>) -> Result<(), PlotError> {
        pen.clear()?;
        self.draw_grid(pen)?;
        self.draw_titles(pen)?;
        for (series, look) in self.chart.series.iter().zip(&self.looks) {
            self.draw_series(pen, series, look)?;
        }
        self.draw_legend(pen)
    }

    fn at(&self, (x, y): Place) -> Place {
        (
            self.left + self.x.share(x) * (self.right - self.left),
            self.bottom - self.y.share(y) * (self.bottom - self.top),
        )
    }

    fn draw_grid<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>) -> Result<(), PlotError> {
        let upright = |at: f64, colour| {
            let (x, _) = self.at((at, self.y.lo));
            pen.line([(x, self.top), (x, self.bottom)], 1.0, colour)
        };
        let level = |at: f64, colour| {
            let (_, y) = self.at((self.x.lo, at));
            pen.line([(self.left, y), (self.right, y)], 1.0, colour)
        };
        self.x.minor.iter().try_for_each(|&at| upright(at, FAINT_GRID))?;
        self.y.minor.iter().try_for_each(|&at| level(at, FAINT_GRID))?;
        self.x.ticks.iter().try_for_each(|tick| upright(tick.at, GRID))?;
        self.y.ticks.iter().try_for_each(|tick| level(tick.at, GRID))?;
        pen.line([(self.left, self.top), (self.left, self.bottom)], 1.25, AXIS)?;
        pen.line([(self.left, self.bottom), (self.right, self.bottom)], 1.25, AXIS)?;
        for tick in &self.y.ticks {
            let (_, y) = self.at((self.x.lo, tick.at));
            pen.line([(self.left - 5.0, y), (self.left, y)], 1.25, AXIS)?;
            pen.text(&tick.label, (self.left - 10.0, y), (HPos::Right, VPos::Center), TICK)?;
        }
        let stride = self.x_label_stride()?;
        for (index, tick) in self.x.ticks.iter().enumerate() {
            let (x, _) = self.at((tick.at, self.y.lo));
            pen.line([(x, self.bottom), (x, self.bottom + 5.0)], 1.25, AXIS)?;
            if index % stride == 0 {
                let below = (x, self.bottom + 18.0);
                pen.text(&tick.label, below, (HPos::Center, VPos::Center), TICK)?;
            }
        }
        Ok(())
    }

    /// The smallest `k` such that every `k`-th label below the frame stays clear of the next.
    fn x_label_stride(&self) -> Result<usize, PlotError> {
        let mut spans = Vec::with_capacity(self.x.ticks.len());
        for tick in &self.x.ticks {
            let (x, _) = self.at((tick.at, self.y.lo));
            spans.push((x, pen::width(&tick.label, TICK)?));
        }
        let clear = |stride: &usize| {
            let kept: Vec<_> = spans.iter().step_by(*stride).collect();
            kept.windows(2).all(|p| p[1].0 - p[0].0 >= f64::midpoint(p[0].1, p[1].1) + 10.0)
        };
        Ok((1..spans.len()).find(clear).unwrap_or(spans.len().max(1)))
    }

    fn draw_titles<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>) -> Result<(), PlotError> {
        let Chart { title, subtitle, x, y, .. } = self.chart;
        let room = WIDTH - EDGE - self.left;
        if !title.is_empty() {
            let mut font = TITLE;
            while font.size > 17.0 && pen::width(title, font)? > room {
                font.size -= 1.0;
            }
            let title = legend::shortened(title, font, room)?;
            pen.text(&title, (self.left, EDGE + 12.0), (HPos::Left, VPos::Center), font)?;
        }
        if !subtitle.is_empty() {
            let subtitle = legend::shortened(subtitle, SUBTITLE, room)?;
            let at = (self.left, subtitle_top(self.chart) + 11.0);
            pen.text(&subtitle, at, (HPos::Left, VPos::Center), SUBTITLE)?;
        }
        if !x.label.is_empty() {
            let label = legend::shortened(&x.label, LABEL, self.right - self.left)?;
            let at = (f64::midpoint(self.left, self.right), self.bottom + 46.0);
            pen.text(&label, at, (HPos::Center, VPos::Center), LABEL)?;
        }
        if !y.label.is_empty() {
            let label = legend::shortened(&y.label, LABEL, FRAME_HEIGHT + 40.0)?;
            let at = (EDGE + 8.0, f64::midpoint(self.top, self.bottom));
            pen.text_upwards(&label, at, LABEL)?;
        }
        Ok(())
    }

    fn draw_series<DB: DrawingBackend>(
        &self,
        pen: &Pen<'_, DB>,
        series: &Series,
        look: &Look,
    ) -> Result<(), PlotError> {
        let stretches = coordinates(self.chart, series);
        let count: usize = stretches.iter().map(Vec::len).sum();
        let every = count.div_ceil(MARKERS).max(1);
        let mut nth = 0;
        let mut marked = Vec::new();
        for stretch in stretches {
            let places: Vec<Place> = stretch.into_iter().map(|point| self.at(point)).collect();
            strokes::line(pen, &places, look, series.style)?;
            for &place in &places {
                let alone = places.len() == 1;
                let wanted = match series.style {
                    Style::Markers => true,
                    Style::LineMarkers => {
                        alone
                            || nth + 1 == count
                            || nth % every == 0 && nth + every.div_ceil(2) < count
                    }
                    Style::Line | Style::Dashed => alone,
                };
                nth += 1;
                if wanted {
                    marked.push(place);
                }
            }
        }
        marked.into_iter().try_for_each(|place| strokes::marker(pen, place, look))
    }

    fn draw_legend<DB: DrawingBackend>(&self, pen: &Pen<'_, DB>) -> Result<(), PlotError> {
        for Entry { series, name, left, row } in &self.legend {
            let left = self.left + left;
            let y = legend_top(self.chart) + (*row as f64 + 0.5) * LEGEND_ROW;
            let (style, look) = (self.chart.series[*series].style, &self.looks[*series]);
            let ends = [(left, y), (left + legend::SAMPLE, y)];
            strokes::line(pen, &ends, look, style)?;
            if matches!(style, Style::LineMarkers | Style::Markers) {
                strokes::marker(pen, (left + legend::SAMPLE / 2.0, y), look)?;
            }
            let at = (left + legend::SAMPLE + legend::GAP, y);
            pen.text(name, at, (HPos::Left, VPos::Center), NAME)?;
        }
        Ok(())
    }
}

fn subtitle_top(chart: &Chart) -> f64 {
    EDGE + if chart.title.is_empty() { 0.0 } else { 32.0 }
}

fn legend_top(chart: &Chart) -> f64 {
    subtitle_top(chart) + if chart.subtitle.is_empty() { 4.0 } else { 30.0 }
}

/// The stretches of a series between points that the axes cannot show, in axis coordinates.
fn coordinates(chart: &Chart, series: &Series) -> Vec<Vec<Place>> {
    let mut stretches = vec![Vec::new()];
    for &(x, y) in &series.points {
        match (chart.x.scale.coordinate(x), chart.y.scale.coordinate(y)) {
            (Some(x), Some(y)) => stretches.last_mut().into_iter().for_each(|s| s.push((x, y))),
            _ => stretches.push(Vec::new()),
        }
    }
    stretches.retain(|stretch| !stretch.is_empty());
    stretches
}
