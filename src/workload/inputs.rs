//! The inputs of an operator: which of them a generated event belongs to, and what it takes back.

use super::random::{Rng, Stream, hash, unit};
use super::{Invalid, check_range};

/// Generated values are whole numbers below this.
pub const VALUE_RANGE: u64 = 1_000;

/// What a generated event is beside its key and its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Inputs {
    /// One input.
    One,
    /// Two keyed inputs: 0, the left one, gets this share of the events, and 1, the right one, the others.
    Two {
        /// Share of the left input, 0 to 1.
        left: f64,
    },
    /// A keyed input, and one of rules for all subtasks.
    Rules(RuleSet),
}

/// Rules that all events are matched with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RuleSet {
    /// How many there are.
    pub rules: u32,
    /// Share of the events that change a rule, 0 to 1.
    pub updates: f64,
    /// How many of the generated values a rule matches; at most [`VALUE_RANGE`].
    pub width: i64,
}

impl RuleSet {
    /// The input of rules.
    pub const INPUT: u8 = 1;

    /// Checks the numbers.
    ///
    /// # Errors
    /// One is out of range.
    pub fn new(rules: u32, updates: f64, matches: f64) -> Result<Self, Invalid> {
        let least = 1.0 / VALUE_RANGE as f64;
        let width = (check_range("matches", matches, least..=1.0)? * VALUE_RANGE as f64).round() as i64;
        let updates = check_range("updates", updates, 0.0..=1.0)?;
        Ok(Self { rules: check_range("rules", rules, 1..=1_000_000)?, updates, width })
    }
}

impl Inputs {
    /// How many there are.
    pub const fn count(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two { .. } | Self::Rules(_) => 2,
        }
    }

    /// Draws the input of an event, and the number that it refers to.
    #[inline]
    pub fn draw(self, rng: &mut Rng) -> (u8, i64) {
        match self {
            Self::Two { left } => (u8::from(rng.unit() >= left), 0),
            Self::Rules(rules) if rng.unit() < rules.updates => {
                (RuleSet::INPUT, rng.below(u64::from(rules.rules)) as i64)
            }
            Self::One | Self::Rules(_) => (0, 0),
        }
    }

    /// The inputs of a prefill: rules are there without one.
    #[must_use]
    pub const fn of_prefill(self) -> Self {
        if let Self::Rules(_) = self { Self::One } else { self }
    }
}

/// Which events take an earlier one back: each event at most once, and always as many events later.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retractions {
    /// The chance of an event whose earlier one can be taken back.
    chance: f64,
    /// Events between one and its retraction.
    after: u64,
}

impl Retractions {
    /// Retractions are a share of all events. The paths of errors are `retract` and `retract-after`.
    ///
    /// # Errors
    /// A share beyond what leaves most events to stay, or a distance of none.
    pub fn new(share: f64, after: u64) -> Result<Option<Self>, Invalid> {
        let share = check_range("retract", share, 0.0..=0.4)?;
        let after = check_range("retract-after", after, 1..=1_000_000_000)?;
        // An event is a retraction with this chance if the earlier one was none, so the share is that of both.
        Ok((share > 0.0).then_some(Self { chance: share / (1.0 - share), after }))
    }

    /// The same, whole blocks of events apart.
    #[must_use]
    pub const fn in_blocks(self, block_events: u64) -> Self {
        Self { after: self.after.next_multiple_of(block_events), ..self }
    }

    /// Events between one and its retraction.
    pub const fn after(self) -> u64 {
        self.after
    }

    /// Share of the events that are retractions.
    pub fn share(self) -> f64 {
        self.chance / (1.0 + self.chance)
    }

    /// Whether the event of this sequence takes back the one before it at the distance: by chance, unless that one is a
    /// retraction itself. Of a row of such events that are chosen, each at the distance of the next, every second is one.
    pub fn is_retraction(self, seed: u64, sequence: u64) -> bool {
        let column = hash(hash(seed) ^ Stream::Retractions as u64);
        let is_chosen = |sequence: u64| sequence >= self.after && unit(hash(column ^ sequence)) < self.chance;
        let mut chosen = 0;
        while let Some(earlier) = sequence.checked_sub(chosen * self.after)
            && is_chosen(earlier)
        {
            chosen += 1;
        }
        chosen % 2 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_have_their_shares() {
        let mut rng = Rng::for_block(1, Stream::Inputs, 0);
        for left in [0.0, 0.3, 1.0] {
            let inputs: Vec<_> = (0..100_000).map(|_| Inputs::Two { left }.draw(&mut rng)).collect();
            let found = inputs.iter().filter(|(stream, _)| *stream == 0).count() as f64 / 1e5;
            assert!((found - left).abs() < 0.005 && inputs.iter().all(|(stream, _)| *stream < 2), "{found}");
        }
        assert_eq!(Inputs::One.draw(&mut rng), (0, 0));
        let rules = Inputs::Rules(RuleSet::new(20, 0.1, 0.5).unwrap());
        let updates: Vec<_> = (0..100_000).map(|_| rules.draw(&mut rng)).filter(|(stream, _)| *stream == 1).collect();
        assert!((updates.len() as f64 / 1e5 - 0.1).abs() < 0.005);
        let mean = updates.iter().map(|(_, id)| *id as f64).sum::<f64>() / updates.len() as f64;
        assert!((mean - 9.5).abs() < 0.25 && updates.iter().all(|(_, id)| (0..20).contains(id)), "{mean}");
        assert_eq!(rules.of_prefill(), Inputs::One);
    }

    #[test]
    fn impossible_rules_are_refused() {
        assert_eq!(RuleSet::new(100, 0.1, 0.25).unwrap().width, 250);
        for (rules, updates, matches, path) in
            [(0, 0.1, 0.1, "rules"), (5, 1.1, 0.1, "updates"), (5, 0.1, 0.0, "matches"), (5, 0.1, 1.5, "matches")]
        {
            assert_eq!(RuleSet::new(rules, updates, matches).unwrap_err().path, path);
        }
    }

    #[test]
    fn retractions_have_their_share_and_take_nothing_back_twice() {
        for share in [0.1, 0.25, 0.4] {
            let retractions = Retractions::new(share, 100).unwrap().unwrap();
            assert!((retractions.share() - share).abs() < 1e-12);
            let is: Vec<bool> = (0..200_000).map(|sequence| retractions.is_retraction(7, sequence)).collect();
            let found = is[1_000..].iter().filter(|&&is| is).count() as f64 / (is.len() - 1_000) as f64;
            assert!((found - share).abs() < 0.005, "{found} instead of {share}");
            assert!(!is[..100].contains(&true), "nothing is there to be taken back");
            assert!(
                (100..is.len()).all(|sequence| !(is[sequence] && is[sequence - 100])),
                "a retraction is not retracted"
            );
        }
        assert_eq!(Retractions::new(0.0, 5), Ok(None));
        assert_eq!(Retractions::new(0.5, 5).unwrap_err().path, "retract");
        assert_eq!(Retractions::new(0.1, 0).unwrap_err().path, "retract-after");
        assert_eq!(Retractions::new(0.1, 300).unwrap().unwrap().in_blocks(256).after(), 512);
    }
}
