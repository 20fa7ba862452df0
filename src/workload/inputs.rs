//! The inputs of an operator: which of them a generated event belongs to, and what it takes back.

use super::random::{Rng, Stream, hash, unit};
use super::{Invalid, check_range};

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
}

impl Inputs {
    /// How many there are.
    pub const fn count(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two { .. } => 2,
        }
    }

    /// Draws the input of an event, and the number that it refers to.
    #[inline]
    pub fn draw(self, rng: &mut Rng) -> (u8, i64) {
        match self {
            Self::One => (0, 0),
            Self::Two { left } => (u8::from(rng.unit() >= left), 0),
        }
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
