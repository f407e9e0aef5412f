//! What a model costs.

use crate::unit::decimal;

/// Prices in millionths of the currency: per million tokens, and per request. A model without a price costs nothing
/// and is bound by the limits on tokens all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    pub input_per_million: u64,
    pub output_per_million: u64,
    pub per_request: u64,
}

/// A text that is no price.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a price with at most six digits behind the point, found `{found}`")]
pub struct PriceError {
    found: String,
}

impl Price {
    /// Reads one price, such as `0.15`.
    pub fn parse_one(text: &str) -> Result<u64, PriceError> {
        decimal(text, 1_000_000, 6).ok_or_else(|| PriceError { found: text.chars().take(40).collect() })
    }

    /// Rounded up, once for the whole request: what is held is never less than what is charged, and a million small
    /// requests do not add up to nothing.
    pub fn of(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let tokens = u128::from(input_tokens) * u128::from(self.input_per_million)
            + u128::from(output_tokens) * u128::from(self.output_per_million);
        u64::try_from(tokens.div_ceil(1_000_000)).unwrap_or(u64::MAX).saturating_add(self.per_request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_price_is_per_million_tokens_and_rounds_up_once() {
        let price = Price { input_per_million: 150_000, output_per_million: 600_000, per_request: 10 };
        assert_eq!(price.of(1_000_000, 0), 150_010);
        assert_eq!(price.of(1, 1), 11, "0.15 + 0.6 millionths are one");
        assert_eq!(Price::parse_one("0.15"), Ok(150_000));
        assert_eq!(Price::default().of(u64::MAX, u64::MAX), 0);
    }

    proptest! {
        #[test]
        fn less_never_costs_more(i: u64, o: u64, di: u64, d_o: u64, a in 0u64..1 << 40, b in 0u64..1 << 40) {
            let price = Price { input_per_million: a, output_per_million: b, per_request: 3 };
            let (less_i, less_o) = (i.saturating_sub(di), o.saturating_sub(d_o));
            prop_assert!(price.of(less_i, less_o) <= price.of(i, o));
        }
    }
}
