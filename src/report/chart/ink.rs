//! The colours of charts. A chart names what is drawn; light and dark themes say how it looks.
//!
//! Series have the colours of Okabe and Ito, which people with any colour vision tell apart, darkened where a thin line would
//! have a contrast below 3 : 1 against its background; they differ by dashes and markers too.

/// What something is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Ink {
    /// Text.
    Text,
    /// Axes, their labels, and what is beside the point.
    Muted,
    /// Lines of the mesh.
    Grid,
    /// A series, by its number.
    Series(usize),
    /// A shade of the heat map, from 0, the least, to [`SHADES`] - 1.
    Heat(usize),
    /// Worse, in a comparison.
    Worse,
    /// Better.
    Better,
    /// The page itself.
    Paper,
}

/// Colours of series; more series than that repeat them with other dashes.
pub(super) const SERIES: usize = 7;
/// Shades of the heat map.
pub(super) const SHADES: usize = 7;

const LIGHT: [&str; SERIES] = ["#0072b2", "#b87a00", "#009e73", "#b8578f", "#3a93c8", "#d55e00", "#767676"];
const DARK: [&str; SERIES] = ["#5ab0ea", "#e69f00", "#2cc39a", "#e08fbc", "#a5dbf8", "#ff8a3d", "#b0b0b0"];
const HEAT_LIGHT: [&str; SHADES] = ["#dcebf5", "#b3d4ea", "#84b8da", "#5299c8", "#2b78ad", "#135586", "#0a2f4f"];
const HEAT_DARK: [&str; SHADES] = ["#123049", "#17476c", "#1f6394", "#3a86bd", "#6cabd8", "#a9d1ee", "#e8f5ff"];

/// The look of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Theme {
    /// Dark on white.
    Light,
    /// Light on black.
    Dark,
}

impl Ink {
    /// All inks, for a style sheet.
    pub fn all() -> impl Iterator<Item = Self> {
        let one = [Self::Text, Self::Muted, Self::Grid, Self::Worse, Self::Better, Self::Paper];
        one.into_iter().chain((0..SERIES).map(Self::Series)).chain((0..SHADES).map(Self::Heat))
    }

    /// The number by which it travels through plotters as a colour.
    pub fn code(self) -> u8 {
        let number = |base: u8, number: usize, all: usize| base + (number % all) as u8;
        match self {
            Self::Text => 0,
            Self::Muted => 1,
            Self::Grid => 2,
            Self::Worse => 3,
            Self::Better => 4,
            Self::Paper => 5,
            Self::Series(series) => number(10, series, SERIES),
            Self::Heat(shade) => number(30, shade, SHADES),
        }
    }

    /// The ink of a number; text for one that is none's.
    pub fn of_code(code: u8) -> Self {
        Self::all().find(|ink| ink.code() == code).unwrap_or(Self::Text)
    }

    /// Its colour in a theme.
    pub fn colour(self, theme: Theme) -> &'static str {
        let pick = |light, dark| if theme == Theme::Light { light } else { dark };
        match self {
            Self::Text => pick("#1c1e21", "#e8eaed"),
            Self::Muted => pick("#5a6068", "#a4abb5"),
            Self::Grid => pick("#e3e6ea", "#33383f"),
            Self::Worse => pick("#c24e00", "#ff8a3d"),
            Self::Better => pick("#0072b2", "#5ab0ea"),
            Self::Paper => pick("#ffffff", "#15181c"),
            Self::Series(series) => pick(LIGHT[series % SERIES], DARK[series % SERIES]),
            Self::Heat(shade) => pick(HEAT_LIGHT[shade % SHADES], HEAT_DARK[shade % SHADES]),
        }
    }
}

/// The dashes of a series' line; empty for a solid one.
pub(super) fn dashes(series: usize) -> &'static str {
    const DASHES: [&str; 5] = ["", "7 3", "2 2", "9 3 2 3", "4 2"];
    // Five dashes and seven colours: no two of the first 35 series look the same.
    DASHES[series % DASHES.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance of a colour `#rrggbb`, by WCAG 2.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn lines_and_text_stand_out_in_both_themes() {
        for theme in [Theme::Light, Theme::Dark] {
            let paper = Ink::Paper.colour(theme);
            let least = |ink: Ink| match ink {
                Ink::Text | Ink::Muted | Ink::Worse | Ink::Better => 4.5,
                Ink::Series(_) => 3.0,
                Ink::Grid | Ink::Heat(_) | Ink::Paper => 1.0,
            };
            for ink in Ink::all() {
                let contrast = contrast(ink.colour(theme), paper);
                assert!(contrast >= least(ink), "{ink:?} in {theme:?}: {contrast}");
            }
        }
    }

    #[test]
    fn every_ink_comes_back_from_its_number() {
        assert!(Ink::all().all(|ink| Ink::of_code(ink.code()) == ink));
        assert_eq!(Ink::of_code(Ink::Series(SERIES + 1).code()), Ink::Series(1));
    }
}
