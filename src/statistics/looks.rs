//! When a sequence of pairs is looked at.

/// Looks that share the probability of a false alarm, unless a caller wants another number.
pub const LOOKS: u32 = 5;
/// How many times as many pairs each look has as the one before.
const GROWTH: f64 = 1.5;

/// The numbers of pairs at which a test at the level `alpha` is made, with an equal share of it for each look: the first is
/// the fewest pairs for which signed ranks can come to such a share at all (their least probability is 2⁻ⁿ), and each later
/// one has half as many again.
pub fn planned_looks(alpha: f64, looks: u32) -> Vec<u32> {
    let share = alpha / f64::from(looks.max(1));
    let mut first = 1;
    while 0.5_f64.powi(first) > share && first < i32::from(u8::MAX) {
        first += 1;
    }
    let next = |pairs: &u32| Some((f64::from(*pairs) * GROWTH).ceil() as u32);
    std::iter::successors(Some(first.unsigned_abs()), next).take(looks as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_those_of_the_table() {
        for (tests, looks) in [
            (3, [11, 17, 26, 39, 59]),
            (6, [12, 18, 27, 41, 62]),
            (12, [13, 20, 30, 45, 68]),
            (24, [14, 21, 32, 48, 72]),
            (36, [15, 23, 35, 53, 80]),
        ] {
            assert_eq!(planned_looks(0.01 / f64::from(tests), LOOKS), looks, "{tests} tests");
        }
        assert_eq!(planned_looks(0.01, 1), [7]);
    }

    #[test]
    fn no_level_takes_forever() {
        assert_eq!(planned_looks(0.0, 2), [255, 383]);
        assert_eq!(planned_looks(2.0, 0), <[u32; 0]>::default());
    }
}
