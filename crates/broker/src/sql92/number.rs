//! Numbers in texts, as Java's `Long.valueOf` and `Double.valueOf` read them.

/// Zeros of the decimal digits that Java's `Character.digit` knows beside ASCII's, as far as they
/// are one UTF-16 unit.
const ZEROS: [char; 36] = [
    '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}',
    '\u{be6}', '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}',
    '\u{1040}', '\u{1090}', '\u{17e0}', '\u{1810}', '\u{1946}', '\u{19d0}', '\u{1a80}', '\u{1a90}',
    '\u{1b50}', '\u{1bb0}', '\u{1c40}', '\u{1c50}', '\u{a620}', '\u{a8d0}', '\u{a900}', '\u{a9d0}',
    '\u{a9f0}', '\u{aa50}', '\u{abf0}', '\u{ff10}',
];

fn digit(c: char) -> Option<i64> {
    if c.is_ascii() {
        return c.to_digit(10).map(i64::from);
    }
    let at = ZEROS.partition_point(|zero| *zero <= c);
    let value = u32::from(c) - u32::from(*ZEROS.get(at.checked_sub(1)?)?);
    (value < 10).then_some(i64::from(value))
}

/// No blanks, no suffix; a sign of either kind.
pub(super) fn long(text: &str) -> Option<i64> {
    let (is_negative, digits) = sign(text);
    if digits.is_empty() {
        return None;
    }
    let mut value = 0i64;
    for c in digits.chars() {
        // Below zero, where the least value has room.
        value = value.checked_mul(10)?.checked_sub(digit(c)?)?;
    }
    if is_negative { Some(value) } else { value.checked_neg() }
}

pub(super) fn int(text: &str) -> Option<i32> {
    long(text).and_then(|value| i32::try_from(value).ok())
}

/// Blanks and control characters around, `NaN`, `Infinity`, hexadecimal with `p`, and a suffix
/// `f` or `d`.
pub(super) fn double(text: &str) -> Option<f64> {
    let (is_negative, text) = sign(text.trim_matches(|c| c <= ' '));
    let value = match text.as_bytes() {
        b"NaN" => return Some(f64::NAN),
        b"Infinity" => f64::INFINITY,
        [b'0', b'x' | b'X', ..] => hexadecimal(without_suffix(&text[2..]))?,
        _ => decimal(without_suffix(text))?,
    };
    Some(if is_negative { -value } else { value })
}

fn sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn without_suffix(text: &str) -> &str {
    text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text)
}

fn decimal(text: &str) -> Option<f64> {
    // What is left of Rust's own grammar then is Java's: no second sign, no words.
    let first = text.as_bytes().first()?;
    let is_plain =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    if matches!(first, b'+' | b'-') || !text.bytes().all(is_plain) {
        return None;
    }
    text.parse().ok()
}

/// What comes behind `0x`: digits, maybe a point among them, and a binary exponent.
fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, exponent) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (is_negative, exponent) = sign(exponent);
    if exponent.is_empty() || !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Beyond 64 bits every value is infinite or nothing already.
    let size = exponent.parse::<u32>().map_or(i64::from(u32::MAX), i64::from);
    let mut exponent = if is_negative { -size } else { size };
    let (mut mantissa, mut has_more) = (0u64, false);
    for (part, is_fraction) in [(whole, false), (fraction, true)] {
        for c in part.chars() {
            let digit = u64::from(c.to_digit(16)?);
            if mantissa >> 60 == 0 {
                mantissa = mantissa << 4 | digit;
                exponent -= if is_fraction { 4 } else { 0 };
            } else {
                has_more |= digit != 0;
                exponent += if is_fraction { 0 } else { 4 };
            }
        }
    }
    Some(rounded(mantissa, has_more, exponent))
}

/// `mantissa * 2^exponent` to the nearest double, ties to even; `has_more`: there was more behind
/// the mantissa's last bit.
fn rounded(mantissa: u64, has_more: bool, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let shift = mantissa.leading_zeros();
    let (mantissa, exponent) = (mantissa << shift, exponent - i64::from(shift));
    let top = exponent + 63;
    if top > 1023 {
        return f64::INFINITY;
    }
    // Subnormal numbers keep fewer bits.
    let kept = if top >= -1022 { 53 } else { 53 - (-1022 - top) };
    if kept < 0 {
        return 0.0;
    }
    let dropped = 64 - kept;
    let (whole, rest) = match dropped {
        64 => (0, mantissa),
        _ => (mantissa >> dropped, mantissa & ((1 << dropped) - 1)),
    };
    let half = 1 << (dropped - 1);
    let goes_up = rest > half || rest == half && (has_more || whole & 1 == 1);
    (whole + u64::from(goes_up)) as f64 * power_of_two(exponent + dropped)
}

/// From -1074 to 1023.
fn power_of_two(exponent: i64) -> f64 {
    let bits = if exponent < -1022 { 1 << (exponent + 1074) } else { (exponent + 1023) << 52 };
    f64::from_bits(bits as u64)
}
