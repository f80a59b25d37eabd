//! Which columns matter.

use super::{Axis, Chart, Scale, Series, Style};

/// Columns that are shown; the others are summed up in one place.
const COLUMNS: usize = 20;

/// The chart of each column's part of the squared gradient, a dot each: `columns` are names and parts, largest
/// first. Past 20, what is left is one dot.
#[must_use]
pub fn importance_chart(columns: &[(&str, f64)], title: &str) -> Chart {
    let shown = if columns.len() > COLUMNS { COLUMNS - 1 } else { columns.len() };
    let (shown, rest) = columns.split_at(shown);
    let mut names: Vec<String> = shown.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut parts: Vec<f64> = shown.iter().map(|(_, part)| *part).collect();
    if !rest.is_empty() {
        names.push(format!("{} others", rest.len()));
        parts.push(rest.iter().map(|(_, part)| part).sum());
    }
    let points = parts.iter().enumerate().map(|(place, &part)| (100.0 * part, place as f64));
    Chart {
        title: title.into(),
        subtitle: String::new(),
        x: Axis::new("percent of the squared gradient", Scale::Linear),
        y: Axis::named("", names),
        series: vec![Series::new("", points.collect(), Style::Markers)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_one_dot() {
        let names: Vec<String> = (0..30).map(|i| format!("c{i}")).collect();
        let columns: Vec<(&str, f64)> = names.iter().map(|name| (&**name, 1.0 / 30.0)).collect();
        let chart = importance_chart(&columns, "t");
        assert_eq!((chart.y.names.len(), &*chart.y.names[19]), (20, "11 others"));
        let percent: f64 = chart.series[0].points.iter().map(|point| point.0).sum();
        assert!((percent - 100.0).abs() < 1e-9);
        assert_eq!(importance_chart(&columns[..20], "t").y.names[19], "c19");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("importance.svg");
        chart.write(&path).unwrap();
        let svg = std::fs::read_to_string(path).unwrap();
        // From the top down.
        let height = |name: &str| -> f64 {
            let before = &svg[..svg.find(&format!(">\n{name}\n<")).expect("a name")];
            let y = before.rsplit(" y=\"").next().and_then(|y| y.split('"').next());
            y.and_then(|y| y.parse().ok()).expect("a height")
        };
        assert!(height("c0") < height("c7") && height("c7") < height("11 others"));
    }
}
