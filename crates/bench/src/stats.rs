//! Numbers out of numbers.

use std::time::Duration;

/// What some runs of the same thing gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` if nothing was measured.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&least, &most) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, least, most })
    }

    /// Of the ratios of what was measured in the same round.
    pub(crate) fn of_ratios(figures: &[f64], ceilings: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> =
            figures.iter().zip(ceilings).map(|(figure, ceiling)| figure / ceiling).collect();
        Self::of(&ratios)
    }
}

/// How many in a second.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn rate(count: u64, span: Duration) -> f64 {
    count as f64 / span.as_secs_f64()
}

/// Microseconds for each.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn micros_each(span: Duration, count: u64) -> f64 {
    span.as_secs_f64() * 1e6 / count.max(1) as f64
}

/// One number for each of another.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn each(count: u64, of: u64) -> f64 {
    count as f64 / of.max(1) as f64
}

/// Microseconds, as a histogram keeps them.
pub(crate) fn whole_micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = |values: &[f64]| Spread::of(values).unwrap();
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Spread { median: 2.0, least: 1.0, most: 3.0 });
        assert_eq!(
            spread(&[4.0, 1.0, 2.0, 3.0]),
            Spread { median: 2.5, least: 1.0, most: 4.0 },
            "of an even number it is halfway between the two"
        );
        assert_eq!(spread(&[7.0]), Spread { median: 7.0, least: 7.0, most: 7.0 });
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn a_ratio_is_of_what_ran_in_the_same_round() {
        let ratio = Spread::of_ratios(&[10.0, 40.0, 30.0], &[10.0, 20.0, 10.0]).unwrap();
        assert_eq!(ratio, Spread { median: 2.0, least: 1.0, most: 3.0 });
    }

    #[test]
    fn what_is_counted_is_told_for_each() {
        let near = |left: f64, right: f64| (left - right).abs() < 1e-9;
        assert!(near(rate(500, Duration::from_millis(250)), 2_000.0));
        assert!(near(micros_each(Duration::from_secs(1), 50_000), 20.0));
        assert!(near(micros_each(Duration::from_secs(1), 0), 1e6), "never divided by zero");
        assert!(near(each(1, 256), 1.0 / 256.0));
    }
}
