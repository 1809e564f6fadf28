//! Kubernetes quantities (`500m`, `1.5Gi`, `3`, `1e3`), compared and counted without floating point.

use std::cmp::Ordering;

/// Decimal places of the internal unit: `n`, a thousand-millionth, is the smallest suffix there is.
const PLACES: u32 = 9;
/// The largest magnitude that Kubernetes stores, 2^63-1, in units of the smallest suffix.
const LARGEST: i128 = 9_223_372_036_854_775_807 * 10_i128.pow(PLACES);
/// The powers of 1024, from the smallest.
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
/// The powers of a thousand from a thousand-millionth on, with their exponents.
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

/// Compares two quantities by value: `1Gi` is less than `2000Mi`. One that cannot be read is larger than any other,
/// so that it never counts as the tighter limit; two of those are equal.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    match (nano(left), nano(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

/// The quantity as an API server writes it, whoever wrote it how: without a fraction, under the largest suffix of its
/// kind that allows for that. What cannot be read stays as it is.
#[must_use]
pub fn canonical(quantity: &str) -> String {
    let Some(nano) = nano(quantity) else { return quantity.to_owned() };
    if nano == 0 {
        return "0".to_owned();
    }
    let unit = 10_i128.pow(PLACES);
    // `1E` is an exa, `1E3` an exponent: only a digit at the end tells them apart.
    let has_exponent = quantity.contains(['e', 'E']) && quantity.ends_with(|last: char| last.is_ascii_digit());
    let (whole, is_whole) = (nano / unit, nano % unit == 0);
    // Kubernetes gives up a binary suffix for a fraction, and below 1Ki.
    if quantity.ends_with('i') && is_whole && whole.abs() >= 1024 {
        let (count, thousands) = without_factors(whole, 1024, BINARY.len() - 1);
        return format!("{count}{}", BINARY.get(thousands).copied().unwrap_or_default());
    }
    let (count, thousands) = without_factors(nano, 1000, DECIMAL.len() - 1);
    let (suffix, exponent) = DECIMAL.get(thousands).copied().unwrap_or_default();
    if has_exponent && exponent != 0 { format!("{count}e{exponent}") } else { format!("{count}{suffix}") }
}

/// A number divided by a factor as often as nothing is lost, at most so often; and how often that was.
fn without_factors(mut number: i128, factor: i128, at_most: usize) -> (i128, usize) {
    let mut times = 0;
    while times < at_most && number % factor == 0 {
        number /= factor;
        times += 1;
    }
    (number, times)
}

/// Tells whether this can be read as a quantity of 0 or more.
#[must_use]
pub fn is_amount(quantity: &str) -> bool {
    nano(quantity).is_some_and(|nano| nano >= 0)
}

/// The quantity as a count of things; `None` for a fraction, a negative number and what cannot be read.
#[must_use]
pub fn count(quantity: &str) -> Option<u64> {
    let unit = 10_i128.pow(PLACES);
    let nano = nano(quantity)?;
    (nano % unit == 0).then_some(nano / unit).and_then(|count| u64::try_from(count).ok())
}

/// The value in thousand-millionths, rounded up in magnitude and capped as Kubernetes does.
fn nano(quantity: &str) -> Option<i128> {
    let (negative, unsigned) = match quantity.as_bytes().first()? {
        b'-' => (true, quantity.get(1..)?),
        b'+' => (false, quantity.get(1..)?),
        _ => (false, quantity),
    };
    let number_end = unsigned.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(number_end);
    let (mantissa, places) = mantissa(number)?;
    let (binary, exponent) = scale(suffix)?;
    let magnitude = scaled(mantissa.checked_mul(binary), exponent - places);
    Some(if negative { -magnitude } else { magnitude })
}

/// The digits of a decimal number as one integer, and how many of them stand behind the point. A number of more than 38
/// digits is not read, although an API server would take it.
fn mantissa(number: &str) -> Option<(i128, i32)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    let places = i32::try_from(fraction.len()).ok()?;
    Some((digits.parse().ok().filter(|_| !fraction.contains('.'))?, places))
}

/// The factors of a suffix: a power of two and a power of ten.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    let binary = |power: u32| Some((1024_i128.pow(power), 0));
    let decimal = |power: i32| Some((1, power));
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => decimal(suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|power| (-99..=99).contains(power))?),
    }
}

/// `mantissa * 10^exponent` in thousand-millionths; too large is the largest.
fn scaled(mantissa: Option<i128>, exponent: i32) -> i128 {
    let Some(mantissa) = mantissa else { return LARGEST };
    let exponent = exponent.saturating_add_unsigned(PLACES);
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    match (mantissa, exponent >= 0, power) {
        // Nothing is nothing under every suffix; without this `0e99` would be the largest.
        (0, ..) => 0,
        (_, true, Some(power)) => mantissa.checked_mul(power).map_or(LARGEST, |value| value.min(LARGEST)),
        (_, true, None) => LARGEST,
        (_, false, Some(power)) => mantissa.div_euclid(power) + i128::from(mantissa % power != 0),
        // Too small to count is rounded up, as any fraction of the smallest unit is.
        (_, false, None) => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use super::{canonical, compare, count, is_amount};

    #[track_caller]
    fn check(left: &str, expected: Ordering, right: &str) {
        assert_eq!(compare(left, right), expected, "{left} against {right}");
        assert_eq!(compare(right, left), expected.reverse(), "{right} against {left}");
    }

    #[test]
    fn quantities_are_compared_by_value_and_not_by_spelling() {
        check("500m", Ordering::Equal, "0.5");
        check("1Gi", Ordering::Less, "2000Mi");
        check("1Gi", Ordering::Greater, "1G");
        check("1024Ki", Ordering::Equal, "1Mi");
        check("1e3", Ordering::Equal, "1k");
        check("1E", Ordering::Equal, "1E18");
        check("1.5Gi", Ordering::Equal, "1536Mi");
        check("10", Ordering::Greater, "9");
        check("-1", Ordering::Less, "0");
        check("+1", Ordering::Equal, "1");
        check(".5", Ordering::Equal, "5e-1");
        check("1.", Ordering::Equal, "1000000u");
        check("100n", Ordering::Less, "1u");
        check("0", Ordering::Equal, "0Ei");
        check("9e99", Ordering::Equal, "9223372036854775807");
        check("1e-99", Ordering::Greater, "0");
    }

    #[test]
    fn what_is_no_quantity_is_never_the_tighter_limit() {
        for text in ["", "-", "abc", "1.2.3", "1 Gi", "1gi", "1e", "0x10", ".", "1Kii", "٣"] {
            check("9e99", Ordering::Less, text);
        }
    }

    #[test]
    fn a_count_is_a_whole_number_of_things() {
        for (quantity, expected) in [
            ("3", Some(3)),
            ("3k", Some(3000)),
            ("3000m", Some(3)),
            ("0", Some(0)),
            ("500m", None),
            ("-1", None),
            ("x", None),
        ] {
            assert_eq!(count(quantity), expected, "{quantity}");
        }
    }

    #[test]
    fn a_quantity_is_written_as_an_api_server_writes_it() {
        for (quantity, expected) in [
            ("1.5Gi", "1536Mi"),
            ("1024Mi", "1Gi"),
            ("1000Mi", "1000Mi"),
            ("1Ki", "1Ki"),
            ("0.5Ki", "512"),
            ("0.5", "500m"),
            ("1500m", "1500m"),
            ("2000m", "2"),
            ("1000", "1k"),
            ("100", "100"),
            ("2000M", "2G"),
            ("1e3", "1e3"),
            ("10e2", "1e3"),
            ("1e1", "10"),
            ("1E", "1E"),
            ("0Mi", "0"),
            ("-1.5", "-1500m"),
            ("many", "many"),
        ] {
            assert_eq!(canonical(quantity), expected, "{quantity}");
        }
    }

    #[test]
    fn an_amount_is_not_less_than_nothing() {
        for (quantity, expected) in
            [("0", true), ("500m", true), ("256Mi", true), ("-1", false), ("", false), ("x", false)]
        {
            assert_eq!(is_amount(quantity), expected, "{quantity}");
        }
    }
}
