//! Numbers as people read them.

/// Four digits: `0.01234`, `12.34`, `1234`, and `1.234e-5` outside 1e-3 to 1e5.
pub(super) fn figure(x: f64) -> String {
    let size = x.abs();
    if size == 0.0 {
        return "0".into();
    }
    if !(1e-3..99_999.5).contains(&size) {
        return format!("{x:.3e}");
    }
    let whole_digits = size.log10().floor() as i32 + 1;
    let decimals = usize::try_from(4 - whole_digits).unwrap_or(0);
    format!("{x:.decimals$}")
}

/// A number as it was given: `0.01`, `1e-8`.
pub(super) fn plain(x: f64) -> String {
    if x == 0.0 || (1e-4..1e7).contains(&x.abs()) { x.to_string() } else { format!("{x:e}") }
}

/// `1 row`, `2 rows`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// `512 KiB`, `12.3 MiB`, `1.5 GiB`.
pub(super) fn bytes(count: f64) -> String {
    let mut size = count / 1024.0;
    for unit in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 999.5 {
            return format!("{size:.*} {unit}", usize::from(size < 9.95));
        }
        size /= 1024.0;
    }
    format!("{size:.0} PiB")
}

/// `12 ms`, `1.23 s`, `75 s`, `12 min`, `3.4 h`.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.0095 => format!("{:.1} ms", s * 1e3),
        s if s < 0.995 => format!("{:.0} ms", s * 1e3),
        s if s < 9.95 => format!("{s:.2} s"),
        s if s < 99.5 => format!("{s:.1} s"),
        s if s < 600.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// The first `shown` of `items` with commas, and how many more there are.
pub(super) fn listed<T: ToString>(items: &[T], shown: usize) -> String {
    let mut words: Vec<String> = items.iter().take(shown).map(T::to_string).collect();
    if items.len() > shown {
        words.push(format!("and {} more", items.len() - shown));
    }
    words.join(", ")
}

/// Rows of cells as lines: every column as wide as its widest cell, the first to the left, the
/// others to the right, two spaces in front of each.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    aligned(rows, &[0])
}

/// As [`table`], with the columns `left` to the left.
pub(super) fn aligned(rows: &[Vec<String>], left: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|c| rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max())
        .map(|width| width.unwrap_or(0))
        .collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (c, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width - cell.chars().count());
            let (before, after) = if left.contains(&c) { ("", &*space) } else { (&*space, "") };
            line.extend(["  ", before, cell, after]);
        }
        out += line.trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        let cases = [
            (0.0, "0"),
            (-12.3456, "-12.35"),
            (0.001, "0.001000"),
            (9.996e-4, "9.996e-4"),
            (123_456.0, "1.235e5"),
            (99_999.4, "99999"),
            (4321.9, "4322"),
            (1e300, "1.000e300"),
        ];
        for (x, words) in cases {
            assert_eq!(figure(x), words);
        }
        let numbers = [(0.01, "0.01"), (1e-8, "1e-8"), (0.0, "0"), (512.0, "512"), (1e9, "1e9")];
        for (x, words) in numbers {
            assert_eq!(plain(x), words);
        }
    }

    #[test]
    fn sizes_and_times() {
        let sizes =
            [(2048.0, "2.0 KiB"), (5.0e6, "4.8 MiB"), (3e10, "28 GiB"), (1e20, "88818 PiB")];
        for (size, words) in sizes {
            assert_eq!(bytes(size), words);
        }
        let times = [(0.0012, "1.2 ms"), (0.25, "250 ms"), (2.0, "2.00 s"), (700.0, "12 min")];
        for (time, words) in times {
            assert_eq!(seconds(time), words);
        }
        assert_eq!(counted(1, "row") + ", " + &counted(0, "row"), "1 row, 0 rows");
        assert_eq!(listed(&[1, 2, 3], 2), "1, 2, and 1 more");
    }

    #[test]
    fn tables_are_aligned() {
        let rows = [["name", "x"], ["a", "1.25"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(table(&rows), "  name     x\n  a     1.25\n");
        assert_eq!(aligned(&rows, &[1]), "  name  x\n     a  1.25\n");
    }
}
