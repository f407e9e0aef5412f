//! Characters that look like others, or like nothing.

/// What a character is to a detector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folded {
    Itself,
    Ascii(u8),
    /// Nobody sees it.
    Nothing,
}

/// Digits of other scripts, by their zero (Unicode 16, category Nd).
const ZEROS: [u32; 23] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6,
    0x0E50, 0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x2080, 0xA8D0, 0xABF0,
];

pub(crate) fn fold(character: char) -> Folded {
    let code = u32::from(character);
    if let Ok(byte) = u8::try_from(code)
        && byte.is_ascii()
    {
        return Folded::Ascii(byte);
    }
    match code {
        // Soft hyphen, joiners, marks of direction, fillers, byte order mark, variation selectors.
        0x00AD
        | 0x034F
        | 0x061C
        | 0x115F
        | 0x1160
        | 0x17B4
        | 0x17B5
        | 0x180B..=0x180E
        | 0x200B..=0x200F
        | 0x202A..=0x202E
        | 0x2060..=0x206F
        | 0x3164
        | 0xFE00..=0xFE0F
        | 0xFEFF
        | 0xFFA0
        | 0xE0001
        | 0xE007F
        | 0xE0100..=0xE01EF => Folded::Nothing,
        // Tags: ASCII that nobody sees and models read.
        0xE0020..=0xE007E => ascii(code - 0xE0000),
        0x00A0 | 0x1680 | 0x2000..=0x200A | 0x202F | 0x205F | 0x3000 => Folded::Ascii(b' '),
        0x2010..=0x2015 | 0x2043 | 0x2212 | 0xFE58 | 0xFE63 => Folded::Ascii(b'-'),
        // Full width.
        0xFF01..=0xFF5E => ascii(code - 0xFF01 + 0x21),
        // Mathematical letters: rows of capitals and small ones; digits in five styles.
        0x1D400..=0x1D6A3 => letter((code - 0x1D400) % 52),
        0x1D7CE..=0x1D7FF => ascii(u32::from(b'0') + (code - 0x1D7CE) % 10),
        // Circled letters, in both sizes.
        0x24B6..=0x24E9 => letter(code - 0x24B6),
        0x00B9 => Folded::Ascii(b'1'),
        0x00B2 | 0x00B3 => ascii(u32::from(b'0') + code - 0x00B0),
        0x2070 | 0x2074..=0x2079 => ascii(u32::from(b'0') + code - 0x2070),
        _ => match ZEROS.iter().find(|&&zero| (zero..zero + 10).contains(&code)) {
            Some(zero) => ascii(u32::from(b'0') + code - zero),
            None => Folded::Itself,
        },
    }
}

fn ascii(code: u32) -> Folded {
    u8::try_from(code).ok().filter(u8::is_ascii).map_or(Folded::Itself, Folded::Ascii)
}

/// The letter of this number, capitals first.
fn letter(number: u32) -> Folded {
    if number < 26 { ascii(u32::from(b'A') + number) } else { ascii(u32::from(b'a') + number - 26) }
}
