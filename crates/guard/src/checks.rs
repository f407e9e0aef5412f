//! Check digits. Each takes digits as numbers, or letters and digits as capitals, and says whether they fit together.

/// ISO/IEC 7812-1, annex B.
pub(crate) fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    digits.len() > 1 && sum.is_multiple_of(10)
}

/// The sum of digits times weights. Digits beyond the weights count nothing.
pub(crate) fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

/// ISO/IEC 7064, MOD 11,10: the last digit checks the others.
pub(crate) fn mod_11_10(digits: &[u32]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, digit| {
        let sum = (product + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == *check
}

/// The remainder of a decimal number of any length.
pub(crate) fn modulo(digits: &[u32], modulus: u32) -> u32 {
    digits.iter().fold(0, |rest, digit| (rest * 10 + digit) % modulus)
}

/// ISO 13616-1: letters as numbers from ten on, the first four characters behind the others, remainder 1 by 97.
pub(crate) fn mod_97(compact: &[u8]) -> bool {
    let (head, body) = compact.split_at(compact.len().min(4));
    let rest = body.iter().chain(head).fold(0, |rest: u32, &byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte.saturating_sub(b'A')) + 10) % 97,
    });
    rest == 1
}

/// Verhoeff's code over the dihedral group of order ten; the last digit checks the others.
pub(crate) fn verhoeff(digits: &[u32]) -> bool {
    const PERMUTATION: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let multiply = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let permuted = |digit: u32, times: usize| {
        (0..times).fold(digit, |digit, _| {
            PERMUTATION.get(usize::try_from(digit).unwrap_or_default()).copied().unwrap_or_default()
        })
    };
    let check = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0, |check, (place, &digit)| multiply(check, permuted(digit, place % 8)));
    check == 0
}

/// Day and month of a date whose year does not matter.
pub(crate) fn is_day(month: u32, day: u32) -> bool {
    let longest = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 0,
    };
    (1..=longest).contains(&day)
}

/// The digits `from..to` as a number.
pub(crate) fn number(digits: &[u32], from: usize, to: usize) -> u32 {
    digits.get(from..to).unwrap_or_default().iter().fold(0, |number, digit| number * 10 + digit)
}

/// All the same: what people write where a number is asked for and they have none.
pub(crate) fn is_monotone(digits: &[u32]) -> bool {
    digits.windows(2).all(|pair| pair.first() == pair.last())
}

/// Shannon entropy in bits a byte.
pub(crate) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for &byte in text {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = text.len() as f64;
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| {
            let share = f64::from(count) / total;
            -share * share.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u32> {
        text.chars().filter_map(|c| c.to_digit(10)).collect()
    }

    #[test]
    fn published_numbers_fit_and_their_neighbours_do_not() {
        let fits: [(&str, fn(&[u32]) -> bool, &str); 4] = [
            ("card", luhn, "4111 1111 1111 1111"),
            ("OIB", mod_11_10, "69435151530"),
            ("Verhoeff", verhoeff, "2363"),
            ("Aadhaar", verhoeff, "2341 2341 2346"),
        ];
        for (name, check, number) in fits {
            let right = digits(number);
            assert!(check(&right), "{name}");
            for place in 0..right.len() {
                let mut wrong = right.clone();
                wrong[place] = (wrong[place] + 1) % 10;
                assert!(!check(&wrong), "{name} {place}");
            }
        }
        assert!(mod_97(b"GB82WEST12345698765432") && !mod_97(b"GB82WEST12345698765423"));
        assert_eq!(modulo(&digits("3214282912345698765432161182"), 97), 1);
    }
}
