//! The window operators of the `[operator]` section.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clock::MOST_MS;
use super::operator::{AggregateFunction, ReduceFunction};
use super::{Invalid, Shorthand, Time, check_range};

/// Windows that follow each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct TumblingWindowWire {
    /// Length of a window. One of them begins at time 0.
    pub size: Time,
    /// What a window keeps of its events.
    pub contents: Shorthand<WindowContentsWire>,
    /// How long a window that has fired takes late events and fires again with each. Event time only.
    pub allowed_lateness: Time,
    /// The clock that assigns events to windows and closes them.
    pub time: WindowTime,
}

/// Windows that overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SlidingWindowWire {
    /// Length of a window.
    pub size: Time,
    /// Time from the beginning of a window to that of the next one; an event is in size / slide windows.
    pub slide: Time,
    /// What a window keeps of its events.
    pub contents: Shorthand<WindowContentsWire>,
    /// How long a window that has fired takes late events and fires again with each.
    pub allowed_lateness: Time,
}

/// Windows that last as long as events follow each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SessionWindowWire {
    /// Time without an event that ends a session.
    pub gap: Time,
    /// What a window keeps of its events.
    pub contents: Shorthand<WindowContentsWire>,
    /// How long a window that has fired takes late events and fires again with each.
    pub allowed_lateness: Time,
}

/// What a window keeps of its events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum WindowContentsWire {
    /// Incremental: a reduction of their values (ReducingState).
    Reduce {
        /// The reduce function.
        #[serde(default)]
        function: ReduceFunction,
    },
    /// Incremental: an aggregate of their values (AggregatingState).
    Aggregate {
        /// The aggregate function.
        #[serde(default)]
        function: AggregateFunction,
    },
    /// Holistic: their payloads, which are read when the window fires (ListState).
    List {},
    /// The join of two inputs: the rows of both sides, which are paired when the window fires (ListState).
    Join {
        /// Share of the events that are of the left input, 0 to 1.
        #[serde(default = "half")]
        left_share: f64,
    },
}

fn half() -> f64 {
    0.5
}

impl Default for WindowContentsWire {
    fn default() -> Self {
        Self::Reduce { function: ReduceFunction::Sum }
    }
}

/// The clock of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WindowTime {
    /// The times of the events; a window closes with the watermark.
    #[default]
    Event,
    /// The times at which events arrive; none is late.
    Processing,
}

const fn seconds(seconds: u64) -> Time {
    Time(std::time::Duration::from_secs(seconds))
}

/// The length of Nexmark's windows.
const DEFAULT_SIZE: Time = seconds(10);

impl Default for TumblingWindowWire {
    fn default() -> Self {
        Self {
            size: DEFAULT_SIZE,
            contents: Shorthand::default(),
            allowed_lateness: seconds(0),
            time: WindowTime::default(),
        }
    }
}

impl Default for SlidingWindowWire {
    /// As in Nexmark's query 5.
    fn default() -> Self {
        Self { size: DEFAULT_SIZE, slide: seconds(2), contents: Shorthand::default(), allowed_lateness: seconds(0) }
    }
}

impl Default for SessionWindowWire {
    /// As in Nexmark's query 11.
    fn default() -> Self {
        Self { gap: DEFAULT_SIZE, contents: Shorthand::default(), allowed_lateness: seconds(0) }
    }
}

/// Windows of one length, valid by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingWindows {
    /// Length of a window, ms; above 0.
    pub size_ms: i64,
    /// Time between the beginnings of two windows, ms; above 0, at most the size, and the size where windows tumble.
    pub slide_ms: i64,
    /// How long a window that has fired takes late events, ms.
    pub allowed_lateness_ms: i64,
}

/// Windows of sessions, valid by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionWindows {
    /// Time without an event that ends a session, ms; above 0.
    pub gap_ms: i64,
    /// How long a window that has fired takes late events, ms.
    pub allowed_lateness_ms: i64,
}

/// Which windows an event is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// Those of one length that its time is in, tumbling ones among them, on a clock.
    Sliding(SlidingWindows, WindowTime),
    /// The session that it belongs to.
    Session(SessionWindows),
}

/// What a window keeps of its events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WindowContents {
    /// See [`WindowContentsWire::Reduce`].
    Reduce(ReduceFunction),
    /// See [`WindowContentsWire::Aggregate`].
    Aggregate(AggregateFunction),
    /// See [`WindowContentsWire::List`].
    List,
    /// See [`WindowContentsWire::Join`].
    Join {
        /// Share of the left input.
        left_share: f64,
    },
}

impl WindowContents {
    /// Checks the wire form; paths of errors are relative to the windows.
    ///
    /// # Errors
    /// A share that is none.
    pub fn new(wire: &Shorthand<WindowContentsWire>) -> Result<Self, Invalid> {
        Ok(match wire.0 {
            WindowContentsWire::Reduce { function } => Self::Reduce(function),
            WindowContentsWire::Aggregate { function } => Self::Aggregate(function),
            WindowContentsWire::List {} => Self::List,
            WindowContentsWire::Join { left_share } => {
                Self::Join { left_share: check_range("contents.join.left-share", left_share, 0.0..=1.0)? }
            }
        })
    }
}

/// Windows that an event may be in: Flink's `SlidingEventTimeWindows.MAX_WINDOW_NUM`.
const MOST_WINDOWS: i64 = 10_000_000;

impl Windows {
    /// Checks the wire form of tumbling windows.
    ///
    /// # Errors
    /// A time out of range, or allowed lateness where nothing is late.
    pub fn tumbling(wire: &TumblingWindowWire) -> Result<Self, Invalid> {
        let size_ms = length("size", wire.size)?;
        let allowed_lateness_ms = allowed_lateness(wire.allowed_lateness)?;
        if wire.time == WindowTime::Processing && allowed_lateness_ms > 0 {
            let allowed = "0 where `time` is \"processing\": no event is late there";
            return Err(Invalid::new("allowed-lateness", wire.allowed_lateness, allowed));
        }
        Ok(Self::Sliding(SlidingWindows { size_ms, slide_ms: size_ms, allowed_lateness_ms }, wire.time))
    }

    /// Checks the wire form of sliding windows.
    ///
    /// # Errors
    /// A time out of range, or a slide that leaves time between windows.
    pub fn sliding(wire: &SlidingWindowWire) -> Result<Self, Invalid> {
        let size_ms = length("size", wire.size)?;
        let slide_ms = length("slide", wire.slide)?;
        if slide_ms > size_ms {
            let allowed = format!("up to the size of {}: events between two windows would be dropped", wire.size);
            return Err(Invalid::new("slide", wire.slide, allowed));
        }
        if size_ms / slide_ms > MOST_WINDOWS {
            let allowed = format!("a slide with which an event is in at most {MOST_WINDOWS} windows");
            return Err(Invalid::new("slide", wire.slide, allowed));
        }
        let allowed_lateness_ms = allowed_lateness(wire.allowed_lateness)?;
        Ok(Self::Sliding(SlidingWindows { size_ms, slide_ms, allowed_lateness_ms }, WindowTime::Event))
    }

    /// Checks the wire form of session windows.
    ///
    /// # Errors
    /// A time out of range.
    pub fn session(wire: &SessionWindowWire) -> Result<Self, Invalid> {
        let gap_ms = length("gap", wire.gap)?;
        Ok(Self::Session(SessionWindows { gap_ms, allowed_lateness_ms: allowed_lateness(wire.allowed_lateness)? }))
    }
}

fn length(path: &str, time: Time) -> Result<i64, Invalid> {
    time_in_range(path, time, 1)
}

fn allowed_lateness(time: Time) -> Result<i64, Invalid> {
    time_in_range("allowed-lateness", time, 0)
}

fn time_in_range(path: &str, time: Time, least_ms: i64) -> Result<i64, Invalid> {
    let ms = time.as_millis();
    if (least_ms..=MOST_MS).contains(&ms) {
        return Ok(ms);
    }
    Err(Invalid::new(path, time, format!("{least_ms} ms to {} d", MOST_MS / 86_400_000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Operator;
    use crate::workload::operator::OperatorWire;

    fn parse(text: &str) -> Result<Operator, Invalid> {
        #[derive(Deserialize)]
        struct Holder {
            operator: Shorthand<OperatorWire>,
        }
        Operator::new(&toml::from_str::<Holder>(text).unwrap().operator)
    }

    #[test]
    fn windows_are_those_of_nexmark_where_nothing_is_said() {
        let windows = |text: &str| match parse(text) {
            Ok(Operator::Window { windows, contents }) => (windows, contents),
            other => panic!("{other:?}"),
        };
        let sliding = SlidingWindows { size_ms: 10_000, slide_ms: 2_000, allowed_lateness_ms: 0 };
        let sum = WindowContents::Reduce(ReduceFunction::Sum);
        assert_eq!(windows("operator = 'sliding-window'"), (Windows::Sliding(sliding, WindowTime::Event), sum));
        let tumbling = SlidingWindows { slide_ms: 10_000, ..sliding };
        assert_eq!(
            windows("operator.tumbling-window = { time = 'processing', contents = 'list' }"),
            (Windows::Sliding(tumbling, WindowTime::Processing), WindowContents::List)
        );
        let session = SessionWindows { gap_ms: 500, allowed_lateness_ms: 7_000 };
        assert_eq!(
            windows(
                "operator.session-window = { gap = '500 ms', allowed-lateness = '7 s', \
                 contents.aggregate.function = 'summary' }"
            ),
            (Windows::Session(session), WindowContents::Aggregate(AggregateFunction::Summary))
        );
    }

    #[test]
    fn impossible_windows_are_refused() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        for text in ["tumbling-window.size = 0", "sliding-window.slide = 0", "session-window.gap = '999 µs'"] {
            let path = format!("operator.{}", text.split(" =").next().unwrap());
            assert!(error(&format!("operator.{text}")).starts_with(&path), "{text}");
        }
        assert_eq!(
            error("operator.sliding-window = { size = '2 s', slide = '3 s' }"),
            "operator.sliding-window.slide: found 3 s; allowed: up to the size of 2 s: events between two windows would \
             be dropped"
        );
        assert_eq!(
            error("operator.sliding-window = { size = '36500 d', slide = 1 }"),
            "operator.sliding-window.slide: found 1 ms; allowed: a slide with which an event is in at most 10000000 \
             windows"
        );
        assert_eq!(
            error("operator.tumbling-window = { time = 'processing', allowed-lateness = '1 s' }"),
            "operator.tumbling-window.allowed-lateness: found 1 s; allowed: 0 where `time` is \"processing\": no event \
             is late there"
        );
        assert_eq!(
            error("operator.session-window.gap = '99999 d'"),
            "operator.session-window.gap: found 99999 d; allowed: 1 ms to 36600 d"
        );
    }
}
