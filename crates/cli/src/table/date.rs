//! Dates and times as numbers: days since the beginning of 1970.
//!
//! Read is ISO 8601 as `YYYY-MM-DD` or `YYYY/MM/DD`, then nothing or `T` or a space and `hh:mm`,
//! `hh:mm:ss` or `hh:mm:ss.f`, then nothing, `Z`, or an offset as `+hh:mm`, `+hhmm` or `+hh`. Times with
//! an offset are taken to UTC.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// Days of a mean year of the calendar.
const YEAR: f64 = 365.2425;

/// Days since the beginning of 1970-01-01, a time being part of a day; `None` for what is no date.
pub(super) fn days(text: &str) -> Option<f64> {
    let mut rest = Rest(text.as_bytes());
    let year = rest.digits(4)?;
    let separator = rest.one_of(b"-/")?;
    let month = rest.digits(2)?;
    rest.one_of(&[separator])?;
    let day = rest.digits(2)?;
    if !(1..=12).contains(&month) || !(1..=month_length(year, month)).contains(&day) {
        return None;
    }
    let date = civil_days(year, month, day) as f64;
    if rest.0.is_empty() {
        return Some(date);
    }
    rest.one_of(b"T ")?;
    let seconds = rest.time()? - rest.offset()?;
    rest.0.is_empty().then_some(date + seconds / 86400.0)
}

/// Days from 1970-01-01 to a day of the Gregorian calendar (Howard Hinnant, `days_from_civil`).
fn civil_days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that a leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A time since the beginning of 1970, in microseconds, as `YYYY-MM-DD` or, where it is part of a day, with `Thh:mm:ss.f`;
/// years out of 0 to 9999 have more characters.
#[cfg(feature = "parquet")]
pub(super) fn text(micros: i64) -> String {
    let (days, time) = (micros.div_euclid(86_400_000_000), micros.rem_euclid(86_400_000_000));
    // Howard Hinnant, `civil_from_days`: years begin in March.
    let from_march = days + 719_468;
    let (era, of_era) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let date = format!("{year:04}-{month:02}-{day:02}");
    if time == 0 {
        return date;
    }
    let (seconds, part) = (time / 1_000_000, time % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{date}T{hours:02}:{minutes:02}:{seconds:02}.{part:06}")
}

fn month_length(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        let add = |sum, byte: &u8| byte.is_ascii_digit().then(|| 10 * sum + i64::from(byte - b'0'));
        digits.iter().try_fold(0, add)
    }

    fn below(&mut self, limit: i64) -> Option<i64> {
        self.digits(2).filter(|&number| number < limit)
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        bytes.contains(&first).then_some(first)
    }

    fn next_is(&self, byte: u8) -> bool {
        self.0.first() == Some(&byte)
    }

    /// Seconds since midnight.
    fn time(&mut self) -> Option<f64> {
        let hours = self.below(24)?;
        self.one_of(b":")?;
        let minutes = self.below(60)?;
        let mut seconds = 0.0;
        if self.next_is(b':') {
            self.one_of(b":")?;
            seconds = self.below(60)? as f64;
            if self.next_is(b'.') {
                let length =
                    1 + self.0[1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                let (fraction, rest) = self.0.split_at(length);
                self.0 = rest;
                let text = std::str::from_utf8(fraction).ok().filter(|_| length > 1)?;
                seconds += text.parse::<f64>().ok()?;
            }
        }
        Some((hours * 3600 + minutes * 60) as f64 + seconds)
    }

    /// Seconds that local time is ahead of UTC.
    fn offset(&mut self) -> Option<f64> {
        let sign = match self.0.first() {
            None => return Some(0.0),
            Some(b'Z') => 0.0,
            Some(b'+') => 1.0,
            Some(b'-') => -1.0,
            Some(_) => return None,
        };
        self.0 = &self.0[1..];
        if sign == 0.0 {
            return Some(0.0);
        }
        let hours = self.below(24)?;
        if self.next_is(b':') {
            self.one_of(b":")?;
        } else if self.0.is_empty() {
            return Some(sign * (hours * 3600) as f64);
        }
        Some(sign * (hours * 3600 + self.below(60)? * 60) as f64)
    }
}

/// What a coordinate says of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Clock {
    /// The days themselves.
    Days,
    /// The sine of the time of day.
    DaySin,
    /// Its cosine.
    DayCos,
    /// The sine of the time of the week.
    WeekSin,
    /// Its cosine.
    WeekCos,
    /// The sine of the time of a year of 365.2425 days.
    YearSin,
    /// Its cosine.
    YearCos,
}

impl Clock {
    pub(super) const ALL: [Self; 7] = [
        Self::Days,
        Self::DaySin,
        Self::DayCos,
        Self::WeekSin,
        Self::WeekCos,
        Self::YearSin,
        Self::YearCos,
    ];

    /// The days after which it comes round, if it does.
    pub(super) fn period(self) -> Option<f64> {
        match self {
            Self::Days => None,
            Self::DaySin | Self::DayCos => Some(1.0),
            Self::WeekSin | Self::WeekCos => Some(7.0),
            Self::YearSin | Self::YearCos => Some(YEAR),
        }
    }

    /// What it says of a date.
    pub(super) fn read(self, days: f64) -> f64 {
        // Whole periods are taken off exactly.
        let angle = self.period().map_or(0.0, |period| TAU * (days.rem_euclid(period) / period));
        match self {
            Self::Days => days,
            Self::DaySin | Self::WeekSin | Self::YearSin => angle.sin(),
            Self::DayCos | Self::WeekCos | Self::YearCos => angle.cos(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of times are read as those times.
    #[cfg(feature = "parquet")]
    #[test]
    fn texts_are_read_back() {
        assert_eq!(text(951_782_400_000_000), "2000-02-29");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999999");
        for at in -40_000..40_000 {
            let (day, micros) = (at * 17, (at * 7919 % 1000 + 1000) * 86_399_999);
            let read = days(&text(day * 86_400_000_000 + micros)).unwrap();
            assert!((read - day as f64 - micros as f64 / 86.4e9).abs() < 1e-9, "{day} {micros}");
        }
    }

    #[test]
    fn known_days() {
        for (text, expected) in [
            ("1970-01-01", 0.0),
            ("1969-12-31", -1.0),
            ("1972-02-29", 789.0),
            ("2000-02-29", 11_016.0),
            ("2000-03-01", 11_017.0),
            ("2001-09-09", 11_574.0),
            ("2024-02-29", 19_782.0),
            ("2038-01-19", 24_855.0),
            ("1900-03-01", -25_508.0),
            ("0000-01-01", -719_528.0),
            ("9999-12-31", 2_932_896.0),
            ("2024/02/29", 19_782.0),
            ("1970-01-02T12:00", 1.5),
            ("1970-01-02 06:00:00", 1.25),
            ("1970-01-01T00:00:43.2", 43.2 / 86400.0),
            ("1970-01-01T00:00Z", 0.0),
            ("1970-01-01T06:00+06:00", 0.0),
            ("1970-01-01T00:00:00-0600", 0.25),
            ("1970-01-01T12:00-12", 1.0),
            ("2038-01-19T03:14:07Z", 24_855.0 + 11_647.0 / 86400.0),
        ] {
            assert_eq!(days(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "",
            "2024",
            "2024-02",
            "2024-2-3",
            "24-02-03",
            "2023-02-29",
            "1900-02-29",
            "2024-04-31",
            "2024-00-10",
            "2024-13-01",
            "2024-01-00",
            "2024-01-32",
            "2024-01/02",
            "2024-01-02T",
            "2024-01-02T10",
            "2024-01-02T24:00",
            "2024-01-02T10:60",
            "2024-01-02T10:00:60",
            "2024-01-02T10:00:00.",
            "2024-01-02T10:00:00.5x",
            "2024-01-02 10:00 ",
            "2024-01-02Z",
            "2024-01-02T10:00+1",
            "2024-01-02T10:00+10:",
            "2024-01-02T10:00+24:00",
            "2024-01-02x",
            "+024-01-02",
            "２024-01-02",
            "2024-01-02T10:00ZZ",
            "2024-01-02T10:00.5",
        ] {
            assert_eq!(days(text), None, "{text}");
        }
    }

    /// From one day to the next, over every day of 800 years.
    #[test]
    fn days_follow_each_other() {
        let mut expected = civil_days(1600, 1, 1);
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=month_length(year, month) {
                    assert_eq!(civil_days(year, month, day), expected);
                    expected += 1;
                }
            }
        }
    }

    /// Whole days have one time of day, whole weeks one day of the week, to the last bit.
    #[test]
    fn clocks_come_round() {
        for day in [-719_528.0, -1.0, 0.0, 5.0, 19_782.0] {
            assert_eq!((Clock::DaySin.read(day), Clock::DayCos.read(day)), (0.0, 1.0));
            for clock in [Clock::WeekSin, Clock::WeekCos] {
                assert_eq!(clock.read(day), clock.read(day + 7.0 * 100.0));
            }
        }
        assert!((Clock::DaySin.read(3.25) - 1.0).abs() < 1e-15);
        assert!((Clock::YearCos.read(YEAR / 2.0) + 1.0).abs() < 1e-15);
        assert_eq!(Clock::Days.read(3.25), 3.25);
    }
}
