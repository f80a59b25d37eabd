//! Whole charts through both formats.

use std::fs;
use std::io::Read;
use std::path::Path;

use super::*;
use crate::output::OutputError;

fn chart(scale: Scale, points: Vec<Vec<(f64, f64)>>) -> Chart {
    let styles = [Style::LineMarkers, Style::Line, Style::Dashed, Style::Markers];
    let series = points.into_iter().enumerate();
    Chart {
        title: "losses & <gains> of \"one\" run".into(),
        subtitle: "n = 3".into(),
        x: Axis::new("x", scale),
        y: Axis::new("y", Scale::Log10),
        series: series
            .map(|(k, points)| Series::new(format!("series <{k}> & co"), points, styles[k % 4]))
            .collect(),
    }
}

/// The texts of an SVG file, having checked that it is well-formed XML: one root, tags closed in
/// order, attributes quoted, no bare `&` or `<`, no control characters.
fn texts(svg: &str) -> Vec<String> {
    let plain = |text: &str| {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
        let names = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'")];
        let text = names.iter().fold(text.to_owned(), |text, (name, c)| text.replace(name, c));
        assert_eq!(text.matches('&').count(), text.matches("&amp;").count(), "{text:?}");
        text.replace("&amp;", "&").trim().to_owned()
    };
    let (mut open, mut texts, mut rest, mut roots) = (Vec::new(), Vec::new(), svg, 0);
    while let Some((before, tag_on)) = rest.split_once('<') {
        texts.push(plain(before));
        let (tag, after) = tag_on.split_once('>').expect("a tag is closed");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let empty = tag.ends_with('/');
        let (name, attributes) = tag.trim_end_matches('/').split_once(' ').expect("attributes");
        for (k, part) in attributes.split('"').enumerate() {
            let outside = part.trim();
            assert!(k % 2 == 1 || outside.is_empty() || outside.ends_with('='), "{tag:?}");
            assert!(!part.contains('<'), "{tag:?}");
            plain(part);
        }
        assert_eq!(attributes.matches('"').count() % 2, 0, "{tag:?}");
        roots += usize::from(open.is_empty());
        if !empty {
            open.push(name);
        }
    }
    assert!(open.is_empty() && roots == 1 && rest.trim().is_empty(), "{open:?} {roots} {rest:?}");
    texts.retain(|text| !text.is_empty());
    texts
}

/// Width, height and unpacked bytes of an 8 bit RGB PNG file, having checked its structure.
fn unpacked(png: &[u8]) -> (usize, usize, Vec<u8>) {
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(png[12..16], *b"IHDR");
    let (width, height) = (number(16), number(20));
    assert_eq!(png[24..27], [8, 2, 0], "8 bit RGB");
    let (mut at, mut packed) = (8, Vec::new());
    loop {
        let (length, kind) = (number(at), &png[at + 4..at + 8]);
        let mut checksum = flate2::Crc::new();
        checksum.update(&png[at + 4..at + 8 + length]);
        assert_eq!(number(at + 8 + length), checksum.sum() as usize);
        if kind == b"IDAT" {
            packed.extend_from_slice(&png[at + 8..at + 8 + length]);
        }
        at += 12 + length;
        if kind == b"IEND" {
            break;
        }
    }
    assert_eq!(at, png.len());
    let mut bytes = Vec::new();
    flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    (width, height, bytes)
}

/// Writes a chart in both formats, twice each, and checks what is common to all charts.
fn written(chart: &Chart) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let [svg, png] = ["chart.svg", "chart.PNG"].map(|name| folder.path().join(name));
    let write = |path: &Path| {
        chart.write(path).unwrap();
        fs::read(path).unwrap()
    };
    let texts = texts(&String::from_utf8(write(&svg)).unwrap());
    let (width, height, bytes) = unpacked(&write(&png));
    assert_eq!(width, 1920);
    assert!((900..4000).contains(&height), "{height}");
    assert_eq!(bytes.len(), height * (1 + 3 * width));
    for path in [&svg, &png] {
        let first = fs::read(path).unwrap();
        assert_eq!(first, write(path), "{} differs the second time", path.display());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "a temporary file is left");
    texts
}

#[test]
fn every_text_is_in_the_svg() {
    let points = vec![(1.0, 0.1), (2.0, 0.2), (4.0, 1e-3)];
    let mut chart = chart(Scale::Log2, vec![points; 9]);
    chart.series[8].name = "tab\tand\u{1}control".into();
    let texts = written(&chart);
    for series in &chart.series[..8] {
        assert!(texts.contains(&series.name), "{} is not in {texts:?}", series.name);
    }
    for text in [&*chart.title, "n = 3", "x", "y", "1", "2", "4", "tab and control"] {
        assert!(texts.iter().any(|t| t == text), "{text} is not in {texts:?}");
    }
}

#[test]
fn one_point_constants_and_twenty_decades_are_drawn() {
    for scale in [Scale::Linear, Scale::Integer, Scale::Log10, Scale::Log2] {
        written(&chart(scale, vec![vec![(3.0, 0.02)]; 4]));
        written(&chart(scale, vec![vec![(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)]]));
        let decades: Vec<_> = (-15..=5).map(|k| (10f64.powi(k), 10f64.powi(-k))).collect();
        written(&chart(scale, vec![decades]));
    }
}

#[test]
fn extreme_and_impossible_points_never_panic() {
    let odd = [f64::NAN, f64::INFINITY, f64::MAX, f64::MIN, 0.0, -1.0, 5e-324, 1e-300, 1e300, 1.0];
    let pairs: Vec<_> = odd.iter().flat_map(|&x| odd.map(|y| (x, y))).collect();
    for scale in [Scale::Linear, Scale::Integer, Scale::Log10, Scale::Log2] {
        written(&chart(scale, vec![pairs.clone(); 4]));
    }
}

#[test]
fn points_that_cannot_be_shown_break_the_line() {
    let lines = |points: Vec<(f64, f64)>| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chart.svg");
        let mut chart = chart(Scale::Integer, vec![points]);
        (chart.series[0].style, chart.series[0].name) = (Style::Line, String::new());
        chart.write(&path).unwrap();
        fs::read_to_string(&path).unwrap().matches("#0072B2").count()
    };
    let points = |y: f64| vec![(0.0, 1.0), (1.0, 0.5), (2.0, y), (3.0, 0.5), (4.0, 1.0)];
    assert_eq!(lines(points(0.1)), 4 + 3, "four stretches and three round corners");
    assert_eq!(lines(points(0.0)), 2, "one line on either side");
    assert_eq!(lines(points(f64::NAN)), 2);
}

#[test]
fn wrong_endings_and_empty_charts_leave_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let good = chart(Scale::Linear, vec![vec![(1.0, 1.0)]]);
    let error = |chart: &Chart, name: &str| {
        let path = folder.path().join(name);
        fs::write(&path, "old").unwrap();
        let error = chart.write(&path).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        fs::remove_file(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "a file is left");
        error
    };
    for (name, ending) in [("a.pdf", Some("pdf")), ("a.svg.gz", Some("gz")), ("svg", None)] {
        let error = error(&good, name);
        assert!(matches!(&error, PlotError::Ending { found, .. } if found.as_deref() == ending));
        assert!(error.to_string().ends_with("expected .svg or .png"), "{error}");
    }
    let nothing = chart(Scale::Linear, vec![vec![(1.0, 0.0), (f64::NAN, 1.0)], vec![]]);
    assert!(matches!(error(&nothing, "a.svg"), PlotError::Empty { points: 2, .. }));
    assert!(matches!(
        error(&chart(Scale::Linear, vec![]), "a.png"),
        PlotError::Empty { points: 0, .. }
    ));
    let absent = good.write(&folder.path().join("absent/a.png")).unwrap_err();
    assert!(matches!(absent, PlotError::Write(OutputError::NoFolder { .. })), "{absent}");
}

/// Charts are outputs like others: links are followed, modes kept, and what fails is named.
#[cfg(unix)]
#[test]
fn charts_are_written_as_other_outputs() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let chart = chart(Scale::Linear, vec![vec![(1.0, 1.0)]]);
    for ending in ["svg", "png"] {
        let [file, link, full] =
            ["file", "link", "full"].map(|name| path(&format!("{name}.{ending}")));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        chart.write(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(fs::read(&file).unwrap().len() > 1000);
        if cfg!(target_os = "linux") {
            symlink("/dev/full", &full).unwrap();
            let error = chart.write(&full).unwrap_err().to_string();
            assert!(error.contains(&format!("full.{ending}`")), "{error}");
        }
    }
}

#[test]
fn a_loss_curve_of_a_long_run_is_drawn() {
    let step = |k: usize| LossPoint {
        step: k,
        rel_residual: 0.7f64.powf(k as f64),
        eta_inner: Some(0.1),
        eta_lin: Some(0.5 / k as f64),
    };
    let steps: Vec<LossPoint> = (1..=100).map(step).collect();
    let texts = written(&loss_curve(&steps, "digits", Some(1e-3)));
    for text in ["relative residual", "floor 1.0e-3", "outer step", "0", "100", "1e-12", "1"] {
        assert!(texts.iter().any(|t| t == text), "{text} is not in {texts:?}");
    }
}
