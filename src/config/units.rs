//! Durations, sizes and rates as the file writes them. A number without a unit is refused: nobody can tell what it
//! was meant to be.

use std::time::Duration;

use crate::throttle::Rate;

/// Ten years: beyond any use, and far from where arithmetic on times overflows.
const LONGEST: Duration = Duration::from_secs(3650 * DAY);
const DAY: u64 = 86_400;

const DURATION: &str = "a duration is a whole number and a unit (ms, s, m, h, d), such as `30s` or `15m`";
const SIZE: &str = "a size is a whole number and a unit (B, KiB, MiB, GiB), such as `16KiB` or `64MiB`";
const RATE: &str = "a rate is a number per duration, such as `120/1m`, or `off`";

/// Units of durations in milliseconds, the longest first.
const DURATIONS: [(&str, u64); 5] = [("d", DAY * 1000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
/// Units of sizes in bytes, the largest first.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// `500ms`, `30s`, `15m`, `1h`, `14d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let duration = Duration::from_millis(quantity(text, &DURATIONS, DURATION)?);
    if duration > LONGEST { Err("a duration of more than ten years is not meant".into()) } else { Ok(duration) }
}

/// Bytes of `512B`, `16KiB`, `64MiB`, `1GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    quantity(text, &SIZES, SIZE)
}

/// At most this many in this long: `120/1m`.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    let (count, per) = text.split_once('/').ok_or(RATE)?;
    let count = digits(count).and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0).ok_or(RATE)?;
    let per = duration(per)?;
    if per.is_zero() { Err(RATE.into()) } else { Ok(Rate { count, per }) }
}

/// The shortest way to write a duration; the inverse of [`duration`].
pub(super) fn write_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 { "0s".into() } else { write(millis, &DURATIONS) }
}

/// The shortest way to write a size; the inverse of [`size`].
pub(super) fn write_size(bytes: u64) -> String {
    write(bytes, &SIZES)
}

fn quantity(text: &str, units: &[(&str, u64)], wanted: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.bytes().take_while(u8::is_ascii_digit).count());
    if unit.is_empty() && !number.is_empty() {
        return Err(format!("a bare number has no unit: {wanted}"));
    }
    let number = digits(number).ok_or(wanted)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or(wanted)?;
    number.checked_mul(*factor).ok_or_else(|| "this is too large".into())
}

fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn write(amount: u64, units: &[(&str, u64)]) -> String {
    let exact = units.iter().find(|(_, factor)| amount >= *factor && amount.is_multiple_of(*factor));
    exact.map_or_else(
        || format!("0{}", units.last().map_or("", |(name, _)| name)),
        |(name, factor)| format!("{}{name}", amount / factor),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_sizes_and_rates_are_read() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("14d"), Ok(Duration::from_secs(14 * DAY)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(size("16KiB"), Ok(16_384));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        assert_eq!(rate("120/1m"), Ok(Rate { count: 120, per: Duration::from_mins(1) }));
    }

    #[test]
    fn a_bare_number_is_told_which_unit_it_wants() {
        assert_eq!(duration("30"), Err(format!("a bare number has no unit: {DURATION}")));
        assert_eq!(size("30"), Err(format!("a bare number has no unit: {SIZE}")));
        assert!(rate("30/60").unwrap_err().contains("a bare number has no unit"));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "s", "-1s", "+1s", "1.5h", "1 s", "1S", "1m30s", "१s", "4000d", "99999999999999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["", "KiB", "1KB", "1k", "1kib", "18446744073709551615KiB", "-1B"] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["", "5", "0/1m", "5/0s", "/1m", "5/", "5/1m/1m", "off", "4294967296/1m"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in 0u64..1_000_000_000_000, bytes: u64) {
            let time = Duration::from_millis(millis % 300_000_000_000);
            prop_assert_eq!(duration(&write_duration(time)), Ok(time));
            prop_assert_eq!(size(&write_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_upsets_the_readers(text in ".*") {
            let _ = (duration(&text), size(&text), rate(&text));
        }
    }
}
