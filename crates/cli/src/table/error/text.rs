//! Parts of messages.

/// `text` for a message: control characters escaped, cut after 60 characters.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        match c {
            _ if i == 60 => {
                out.push('…');
                break;
            }
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// The name most like `name`: at most a third of its letters away (at least one), or else the
/// first that has `name` inside or is inside it, three letters at least.
pub(crate) fn nearest<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Option<String> {
    let wanted = name.to_lowercase();
    let limit = (wanted.chars().count() / 3).max(1);
    let close = names
        .clone()
        .map(|other| (distance(&wanted, &other.to_lowercase()), other))
        .min_by_key(|&(distance, _)| distance)
        .filter(|&(distance, _)| distance <= limit)
        .map(|(_, other)| other);
    let inside = |a: &str, b: &str| a.chars().count() >= 3 && b.contains(a);
    let related = |other: &str| inside(&wanted, other) || inside(other, &wanted);
    close
        .or_else(|| names.into_iter().find(|other| related(&other.to_lowercase())))
        .map(str::to_owned)
}

/// Letters to insert, delete or replace to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let replace = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

pub(super) fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

pub(super) fn listing(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut out: Vec<String> =
        names.iter().take(SHOWN).map(|name| format!("`{}`", excerpt(name))).collect();
    if names.len() > SHOWN {
        out.push(format!("and {} more", names.len() - SHOWN));
    }
    out.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_wants_a_likeness() {
        let names = ["carat", "cut", "price"];
        let near = |name| nearest(name, names.into_iter());
        assert_eq!(near("prise").as_deref(), Some("price"));
        assert_eq!(near("PRICE").as_deref(), Some("price"));
        assert_eq!(near("cit").as_deref(), Some("cut"));
        assert_eq!(near("weight"), None);
        assert_eq!(near("log_price").as_deref(), Some("price"));
        assert_eq!(near("ric").as_deref(), Some("price"));
        assert_eq!(near("ce"), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn messages_stay_on_one_short_line() {
        assert_eq!(excerpt("a\nb\tc"), "a\\nb\\tc");
        let long = excerpt(&"x".repeat(1000));
        assert_eq!(long.chars().count(), 61);
        assert!(long.ends_with('…'));
        let many: Vec<String> = (0..25).map(|i| format!("c{i}")).collect();
        assert!(listing(&many).ends_with("`c19`, and 5 more"));
    }
}
