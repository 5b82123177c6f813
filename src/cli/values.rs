//! Values of options that are no type of their own in `units`.

use std::time::Duration;

use crate::api::SPEED;
use crate::units::{Invalid, PollerIndex, QueueIndex, digits};

/// Lines that were typed and are kept.
pub const HISTORY_MAX: usize = 1000;

/// Longest `wait`, seconds: a day.
const WAIT_MAX: f64 = 86_400.0;

fn invalid<T>(why: &str) -> Result<T, Invalid> {
    Err(Invalid(why.to_owned()))
}

/// Any number; used where this version takes only one of them.
pub(super) fn count(text: &str) -> Result<u64, Invalid> {
    digits(text).map_or_else(|| invalid("not a number"), Ok)
}

/// `0` or `1`.
pub(super) fn bit(text: &str) -> Result<bool, Invalid> {
    match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => invalid("not 0 or 1"),
    }
}

/// How many of the lines that were typed.
pub(super) fn lines(text: &str) -> Result<usize, Invalid> {
    match digits(text) {
        Some(n) if (1..=HISTORY_MAX).contains(&n) => Ok(n),
        _ => Err(Invalid(format!("not a number of lines between 1 and {HISTORY_MAX}"))),
    }
}

/// Number of a queue.
pub(super) fn queue(text: &str) -> Result<QueueIndex, Invalid> {
    digits(text).map(QueueIndex).map_or_else(|| invalid("not a number between 0 and 65535"), Ok)
}

/// Number of a poller.
pub(super) fn poller(text: &str) -> Result<PollerIndex, Invalid> {
    digits(text).map(PollerIndex).map_or_else(|| invalid("not a number between 0 and 65535"), Ok)
}

/// `sw_if_index` of an interface.
pub(super) fn index(text: &str) -> Result<u32, Invalid> {
    digits(text).map_or_else(|| invalid("not a number between 0 and 4294967295"), Ok)
}

/// Speed of a link, Mbit/s.
pub(super) fn speed(text: &str) -> Result<u32, Invalid> {
    match digits(text) {
        Some(n) if (1..=i32::MAX as u32).contains(&n) => Ok(n),
        _ => invalid(SPEED),
    }
}

/// Seconds, fractions allowed, up to a day.
pub(super) fn seconds(text: &str) -> Result<Duration, Invalid> {
    text.parse::<f64>()
        .ok()
        .filter(|secs| (0.0..=WAIT_MAX).contains(secs))
        .and_then(|secs| Duration::try_from_secs_f64(secs).ok())
        .ok_or_else(|| Invalid("not a number of seconds between 0 and 86400".into()))
}

/// Seconds between two looks: as [`seconds`], and at least a tenth.
pub(super) fn interval(text: &str) -> Result<Duration, Invalid> {
    match seconds(text) {
        Ok(pause) if pause >= Duration::from_millis(100) => Ok(pause),
        _ => invalid("not a number of seconds between 0.1 and 86400"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_refuse_what_overflows() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
