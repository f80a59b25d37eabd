//! Numbers and lists as pages print them.

/// Three digits: `0.0123`, `1.23`, `12.3`, `1234`.
pub(super) fn figure(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    let decimals = (2 - x.abs().log10().floor() as i32).clamp(0, 6);
    format!("{x:.*}", usize::try_from(decimals).unwrap_or(0))
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

/// `1 thread`, `2 threads`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        let cases =
            [(0.0, "0"), (0.012_345, "0.0123"), (1.0, "1.00"), (12.34, "12.3"), (1234.4, "1234")];
        for (x, text) in cases {
            assert_eq!(figure(x), text);
        }
        // Rounding up may add a fourth, and beyond the sixth decimal nothing is told.
        assert_eq!(figure(9.996), "10.00");
        assert_eq!(figure(1.26e-5), "0.000013");
    }

    #[test]
    fn lists_read_as_english() {
        let lists = [&[][..], &["a"], &["a", "b"], &["a", "b", "c"]].map(listed);
        assert_eq!(lists, ["", "a", "a and b", "a, b and c"]);
        assert_eq!(counted(1, "thread") + ", " + &counted(2, "thread"), "1 thread, 2 threads");
    }
}
