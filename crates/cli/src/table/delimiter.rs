//! What divides the fields of a text table, told from its header.

use std::fmt;
use std::io::{self, BufRead};

/// What divides fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// `,`
    Comma,
    /// A tab.
    Tab,
    /// `;`
    Semicolon,
}

impl Delimiter {
    /// The byte itself.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Tab => b'\t',
            Self::Semicolon => b';',
        }
    }

    /// Of a header's text: a comma if there is one outside quotes, else a tab, else a semicolon; a
    /// comma where there is none of them.
    #[must_use]
    pub fn of(header: &[u8]) -> Self {
        let mut scan = Scan::default();
        for &byte in header {
            scan.take(byte);
        }
        let all = [Self::Comma, Self::Tab, Self::Semicolon];
        let first = all.into_iter().zip(scan.found).find(|(_, found)| *found);
        first.map_or(Self::Comma, |(delimiter, _)| delimiter)
    }
}

/// In the plural: `commas`, `tabs`, `semicolons`.
impl fmt::Display for Delimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Comma => "commas",
            Self::Tab => "tabs",
            Self::Semicolon => "semicolons",
        })
    }
}

/// Takes the header's lines from `input`: all up to the first line feed outside quotes after
/// something that is no white space, or to the end.
pub(super) fn header(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let (mut text, mut scan) = (Vec::new(), Scan::default());
    loop {
        let start = text.len();
        if input.read_until(b'\n', &mut text)? == 0 {
            return Ok(text);
        }
        for &byte in &text[start..] {
            scan.take(byte);
        }
        if !scan.inside && !text.trim_ascii().is_empty() {
            return Ok(text);
        }
    }
}

/// Quotes as the csv crate reads them: one at the start of a field opens it, and is closed by one
/// that is not doubled.
#[derive(Default)]
struct Scan {
    /// Whether there was a comma, a tab, a semicolon outside quotes.
    found: [bool; 3],
    inside: bool,
    within_field: bool,
}

impl Scan {
    fn take(&mut self, byte: u8) {
        match byte {
            b'"' if self.inside => self.inside = false,
            // The second of two quotes inside a field opens it again.
            b'"' if !self.within_field => self.inside = true,
            _ if self.inside => {}
            // The bytes of a byte-order mark, which is no part of a field.
            0xef | 0xbb | 0xbf => {}
            b',' | b'\t' | b';' | b'\n' | b'\r' => {
                self.within_field = false;
                for (found, delimiter) in self.found.iter_mut().zip(*b",\t;") {
                    *found |= byte == delimiter;
                }
            }
            _ => self.within_field = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn told_by_the_header() {
        for (header, expected) in [
            ("a,b", Delimiter::Comma),
            ("a", Delimiter::Comma),
            ("", Delimiter::Comma),
            ("a\tb", Delimiter::Tab),
            ("a;b", Delimiter::Semicolon),
            ("a;b\tc", Delimiter::Tab),
            ("a\tb,c;d", Delimiter::Comma),
            ("\"a,b\"\tc", Delimiter::Tab),
            ("\"a\"\"x,b\";\"c\td\"", Delimiter::Semicolon),
            ("\u{feff}\"a,b\";c", Delimiter::Semicolon),
            ("it's 5\" long;b", Delimiter::Semicolon),
            ("\"a\n,b\"\tc", Delimiter::Tab),
        ] {
            assert_eq!(Delimiter::of(header.as_bytes()), expected, "{header:?}");
        }
    }

    #[test]
    fn the_header_ends_outside_quotes() {
        for (text, expected) in [
            ("a,b\n1,2\n", "a,b\n"),
            ("\n \na,b\n1,2\n", "\n \na,b\n"),
            ("a,\"b\nc\"\n1,2\n", "a,\"b\nc\"\n"),
            ("a,\"b\"\"\nc\"\n1,2\n", "a,\"b\"\"\nc\"\n"),
            ("a,b\"\n1,2\n", "a,b\"\n"),
            ("a,\"b\n1,2\n", "a,\"b\n1,2\n"),
            ("a,b", "a,b"),
            ("", ""),
        ] {
            let mut input = text.as_bytes();
            assert_eq!(header(&mut input).unwrap(), expected.as_bytes(), "{text:?}");
            assert_eq!(input, &text.as_bytes()[expected.len()..]);
        }
    }
}
