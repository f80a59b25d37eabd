//! Rust source without its comments and literals, as far as the rules need it.
//!
//! A small lexer: it knows line and nested block comments, strings with escapes, raw strings,
//! character literals and lifetimes, and leaves everything else alone. Code and comments come out
//! line by line, so that findings can name a line and a word in a string is no finding.

/// One line of a source file, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The code, with comments and the insides of literals left out.
    pub(super) code: String,
    /// The text of the comments on this line.
    pub(super) comment: String,
}

/// A source file, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// Its lines in order.
    pub(super) lines: Vec<Line>,
}

/// What the lexer is inside of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    LineComment,
    /// Nesting depth.
    BlockComment(usize),
    String,
    /// Number of `#` that close it.
    RawString(usize),
}

impl Source {
    /// Takes a source text apart.
    pub(super) fn parse(text: &str) -> Self {
        let characters: Vec<char> = text.chars().collect();
        let (mut lines, mut line) = (Vec::new(), Line::default());
        let mut inside = Inside::Code;
        let mut at = 0;
        while let Some(&character) = characters.get(at) {
            if character == '\n' {
                lines.push(std::mem::take(&mut line));
                inside = if inside == Inside::LineComment { Inside::Code } else { inside };
                at += 1;
                continue;
            }
            let (next, taken) =
                step(inside, &characters[at..], at.checked_sub(1).map(|k| characters[k]));
            let text = &characters[at..at + taken];
            match (inside, next) {
                (Inside::Code, Inside::Code) if taken > 2 => line.code.push_str("' '"),
                (Inside::Code, Inside::Code) => line.code.extend(text),
                (Inside::Code, Inside::String | Inside::RawString(_))
                | (Inside::String | Inside::RawString(_), Inside::Code) => line.code.push('"'),
                (Inside::LineComment | Inside::BlockComment(_), _)
                | (_, Inside::LineComment | Inside::BlockComment(_)) => line.comment.extend(text),
                _ => {}
            }
            inside = next;
            at += taken;
        }
        lines.push(line);
        Self { lines }
    }

    /// The lines (from 0) that belong to modules for tests alone: from the attribute to the
    /// closing brace.
    pub(super) fn test_lines(&self) -> Vec<bool> {
        let mut test = vec![false; self.lines.len()];
        let mut first = 0;
        while first < self.lines.len() {
            let last = self.test_module_at(first);
            if let Some(last) = last {
                test[first..=last].fill(true);
            }
            first = last.unwrap_or(first) + 1;
        }
        test
    }

    /// The last line of the test module whose attribute starts on a line.
    fn test_module_at(&self, first: usize) -> Option<usize> {
        let attribute = compact(&self.lines[first].code);
        if !["#[cfg(test)]", "#[cfg(all(test,"].iter().any(|start| attribute.starts_with(start)) {
            return None;
        }
        let mut depth = 0usize;
        let mut named = false;
        for (number, line) in self.lines.iter().enumerate().skip(first) {
            let code = match line.code.trim_start() {
                attribute if attribute.starts_with('#') => {
                    attribute.rsplit_once(']').map_or("", |(_, item)| item)
                }
                code => code,
            };
            named = named || words(code).any(|(_, word)| word == "mod");
            if !named && !code.trim().is_empty() {
                return None;
            }
            for character in code.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 1 => return Some(number),
                    '}' => depth = depth.saturating_sub(1),
                    ';' if depth == 0 => return Some(number),
                    _ => {}
                }
            }
        }
        None
    }
}

/// The state after the next token, and how many characters it takes.
fn step(inside: Inside, rest: &[char], before: Option<char>) -> (Inside, usize) {
    let starts = |text: &str| text.chars().enumerate().all(|(k, c)| rest.get(k) == Some(&c));
    match inside {
        Inside::Code if starts("//") => (Inside::LineComment, 2),
        Inside::Code if starts("/*") => (Inside::BlockComment(1), 2),
        Inside::Code if starts("\"") => (Inside::String, 1),
        Inside::Code if starts("'") => (Inside::Code, character_literal(rest)),
        Inside::Code
            if rest[0] == 'r' && !before.is_some_and(|c| is_word(c) && c != 'b' && c != 'c') =>
        {
            let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
            match rest.get(1 + hashes) {
                Some('"') => (Inside::RawString(hashes), 2 + hashes),
                _ => (Inside::Code, 1),
            }
        }
        Inside::Code => (Inside::Code, 1),
        Inside::LineComment => (Inside::LineComment, 1),
        Inside::BlockComment(depth) if starts("/*") => (Inside::BlockComment(depth + 1), 2),
        Inside::BlockComment(1) if starts("*/") => (Inside::Code, 2),
        Inside::BlockComment(depth) if starts("*/") => (Inside::BlockComment(depth - 1), 2),
        Inside::BlockComment(depth) => (Inside::BlockComment(depth), 1),
        // An escaped newline is left to the caller, which counts lines.
        Inside::String if rest[0] == '\\' && rest.get(1).is_some_and(|c| *c != '\n') => {
            (Inside::String, 2)
        }
        Inside::String if starts("\"") => (Inside::Code, 1),
        Inside::String => (Inside::String, 1),
        Inside::RawString(hashes) => {
            let closed =
                rest[0] == '"' && rest[1..].iter().take_while(|c| **c == '#').count() >= hashes;
            if closed { (Inside::Code, 1 + hashes) } else { (Inside::RawString(hashes), 1) }
        }
    }
}

/// The length of the character literal at a quote, or 1 if it begins a lifetime.
fn character_literal(rest: &[char]) -> usize {
    match rest.get(1) {
        Some('\\') => {
            let end = rest.iter().skip(3).position(|c| *c == '\'' || *c == '\n');
            end.map_or(1, |end| end + 4)
        }
        Some(c) if *c != '\n' && rest.get(2) == Some(&'\'') => 3,
        _ => 1,
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The words of a line of code with the offsets at which they start.
pub(super) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.split(|c| !is_word(c)).filter(|word| !word.is_empty()).map(|word| {
        let at = word.as_ptr() as usize - code.as_ptr() as usize;
        (at, word)
    })
}

/// The code without blanks.
pub(super) fn compact(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<String> {
        Source::parse(text).lines.into_iter().map(|line| line.code.trim().to_owned()).collect()
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        assert_eq!(codes("a // b\n/* c\n d /* e */ f */ g"), ["a", "", "g"]);
        assert_eq!(codes(r#"x("unsafe \" // no", y) // z"#), [r#"x("", y)"#]);
        assert_eq!(codes("r\"\\\" + r#\"a\"b\"# + br##\"\"#\"##;"), ["\"\" + \"\" + b\"\";"]);
        assert_eq!(
            codes("let q = '\"'; let e = '\\''; let n = '\\u{7f}'; f::<'a>(b'x')"),
            ["let q = ' '; let e = ' '; let n = ' '; f::<'a>(b' ')"]
        );
        assert_eq!(codes("\"one\n two \\\n three\" + r#type"), ["\"", "", "\" + r#type"]);
        assert_eq!(codes("for x in var\"y\""), ["for x in var\"\""]);
    }

    #[test]
    fn comments_keep_their_text() {
        let lines = Source::parse("/// # Safety\nunsafe /* SAFETY: why */ {}").lines;
        assert!(lines[0].comment.contains("# Safety"));
        assert!(lines[1].comment.contains("SAFETY: why"));
        assert_eq!(lines[1].code, "unsafe  {}");
    }

    #[test]
    fn test_modules_end_at_their_brace() {
        let text = "a\n#[cfg(test)]\n#[allow(x)]\nmod tests {\n if \"}\" {}\n}\nb\n\
                    #[cfg(test)]\nmod more;\nc\n#[cfg(test)]\nfn helper() {\n}\n\
                    #[cfg(test)] pub(crate) mod one { fn f() {} }\nd";
        let test = Source::parse(text).test_lines();
        let kept: Vec<&str> =
            text.lines().zip(&test).filter(|(_, test)| !**test).map(|(line, _)| line).collect();
        assert_eq!(kept, ["a", "b", "c", "#[cfg(test)]", "fn helper() {", "}", "d"]);
    }

    #[test]
    fn words_know_where_they_start() {
        assert_eq!(words("a::b_c! (d)").collect::<Vec<_>>(), [(0, "a"), (3, "b_c"), (9, "d")]);
    }
}
