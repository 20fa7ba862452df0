//! What wrote the bytes of a type: Flink's `TypeSerializer`, as its snapshot in the header of a checkpoint describes it.
//!
//! Types of this crate's own that hold several fields are described as the tuples that they would be in a Flink job:
//! their bytes are those of the fields, one after another.

use std::fmt;

use super::utf::{read_utf, write_utf};
use super::{Codec, StateError, StateResult};

/// A serializer without parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimpleSerializer {
    /// `Long`.
    Long,
    /// `Integer`.
    Int,
    /// `Double`.
    Double,
    /// `Boolean`.
    Boolean,
    /// `String`.
    String,
    /// `byte[]`.
    Bytes,
    /// `VoidNamespace`.
    VoidNamespace,
    /// `TimeWindow`.
    TimeWindow,
}

/// A serializer made of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompositeSerializer {
    /// `List`: of its elements.
    List,
    /// `Map`: of its keys, of its values.
    Map,
    /// `Tuple1` to `Tuple25`: of its fields.
    Tuple,
    /// `TtlValue`: of the time of its last access, of its value.
    Ttl,
    /// A timer: of its key, of its namespace.
    Timer,
}

/// The serializer of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serializer {
    /// Without parameters.
    Simple(SimpleSerializer),
    /// Made of others, in Flink's order.
    Composite(CompositeSerializer, Vec<Self>),
}

/// The version of the snapshot of a serializer: `SimpleTypeSerializerSnapshot`, `CompositeTypeSerializerSnapshot`.
const SNAPSHOT_VERSION: i32 = 3;
/// What the snapshot of a composite serializer begins with.
const COMPOSITE_MAGIC: i32 = 911_108;
/// What stands before the snapshots of the serializers that it is made of, and the version of that part.
const NESTED_MAGIC: i32 = 1_333_245;
const NESTED_VERSION: i32 = 1;
/// Serializers within each other that are read at most; Flink has no limit, and no job comes near this one.
const MOST_DEPTH: usize = 32;
/// Fields of the largest tuple.
const MOST_FIELDS: usize = 25;

const SIMPLE: [SimpleSerializer; 8] = [
    SimpleSerializer::Long,
    SimpleSerializer::Int,
    SimpleSerializer::Double,
    SimpleSerializer::Boolean,
    SimpleSerializer::String,
    SimpleSerializer::Bytes,
    SimpleSerializer::VoidNamespace,
    SimpleSerializer::TimeWindow,
];
const COMPOSITE: [CompositeSerializer; 5] = [
    CompositeSerializer::List,
    CompositeSerializer::Map,
    CompositeSerializer::Tuple,
    CompositeSerializer::Ttl,
    CompositeSerializer::Timer,
];

impl SimpleSerializer {
    /// The class of its snapshot.
    const fn class(self) -> &'static str {
        match self {
            Self::Long => "org.apache.flink.api.common.typeutils.base.LongSerializer$LongSerializerSnapshot",
            Self::Int => "org.apache.flink.api.common.typeutils.base.IntSerializer$IntSerializerSnapshot",
            Self::Double => "org.apache.flink.api.common.typeutils.base.DoubleSerializer$DoubleSerializerSnapshot",
            Self::Boolean => "org.apache.flink.api.common.typeutils.base.BooleanSerializer$BooleanSerializerSnapshot",
            Self::String => "org.apache.flink.api.common.typeutils.base.StringSerializer$StringSerializerSnapshot",
            Self::Bytes => {
                "org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer$BytePrimitiveArraySerializerSnapshot"
            }
            Self::VoidNamespace => {
                "org.apache.flink.runtime.state.VoidNamespaceSerializer$VoidNamespaceSerializerSnapshot"
            }
            Self::TimeWindow => {
                "org.apache.flink.streaming.api.windowing.windows.TimeWindow$Serializer$TimeWindowSerializerSnapshot"
            }
        }
    }
}

impl CompositeSerializer {
    /// The class of its snapshot.
    const fn class(self) -> &'static str {
        match self {
            Self::List => "org.apache.flink.api.common.typeutils.base.ListSerializerSnapshot",
            Self::Map => "org.apache.flink.api.common.typeutils.base.MapSerializerSnapshot",
            Self::Tuple => "org.apache.flink.api.java.typeutils.runtime.TupleSerializerSnapshot",
            Self::Ttl => "org.apache.flink.runtime.state.ttl.TtlStateFactory$TtlSerializerSnapshot",
            Self::Timer => "org.apache.flink.streaming.api.operators.TimerSerializerSnapshot",
        }
    }

    /// The version of what its snapshot adds to those that it is made of.
    const fn outer_version(self) -> i32 {
        match self {
            Self::List | Self::Map => 1,
            Self::Tuple | Self::Ttl | Self::Timer => 2,
        }
    }

    /// Whether it is made of so many.
    fn takes(self, serializers: usize) -> bool {
        match self {
            Self::List => serializers == 1,
            Self::Map | Self::Ttl | Self::Timer => serializers == 2,
            Self::Tuple => (1..=MOST_FIELDS).contains(&serializers),
        }
    }
}

/// The class of a tuple, which its snapshot names.
fn tuple_class(fields: usize) -> String {
    format!("org.apache.flink.api.java.tuple.Tuple{fields}")
}

impl Serializer {
    /// Of a list.
    pub fn list(element: Self) -> Self {
        Self::Composite(CompositeSerializer::List, vec![element])
    }

    /// Of a map.
    pub fn map(key: Self, value: Self) -> Self {
        Self::Composite(CompositeSerializer::Map, vec![key, value])
    }

    /// Of a tuple of 1 to 25 fields.
    pub fn tuple(fields: impl Into<Vec<Self>>) -> Self {
        Self::Composite(CompositeSerializer::Tuple, fields.into())
    }

    /// Of a value with the time of its last access.
    pub fn ttl(value: Self) -> Self {
        Self::Composite(CompositeSerializer::Ttl, vec![SimpleSerializer::Long.into(), value])
    }

    /// Of a timer.
    pub fn timer(key: Self, namespace: Self) -> Self {
        Self::Composite(CompositeSerializer::Timer, vec![key, namespace])
    }

    /// Appends its snapshot: class, version, and what a composite adds.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Simple(simple) => {
                write_utf(simple.class(), out);
                SNAPSHOT_VERSION.encode(out);
            }
            Self::Composite(composite, nested) => {
                write_utf(composite.class(), out);
                write_ints([SNAPSHOT_VERSION, COMPOSITE_MAGIC, composite.outer_version()], out);
                if *composite == CompositeSerializer::Tuple {
                    write_utf(&tuple_class(nested.len()), out);
                }
                write_ints([NESTED_MAGIC, NESTED_VERSION, nested.len() as i32], out);
                nested.iter().for_each(|nested| nested.write(out));
            }
        }
    }

    /// Reads a snapshot from the front of `input`.
    ///
    /// # Errors
    /// It is cut short, or is not one that [`write`](Self::write) writes: a class that is not known here, another
    /// version.
    pub(super) fn read(input: &mut &[u8]) -> StateResult<Self> {
        Self::read_nested(input, MOST_DEPTH)
    }

    fn read_nested(input: &mut &[u8], depth: usize) -> StateResult<Self> {
        let class = read_utf(input)?;
        expect(input, SNAPSHOT_VERSION, || format!("the version of `{class}`"))?;
        if let Some(simple) = SIMPLE.into_iter().find(|simple| simple.class() == class) {
            return Ok(simple.into());
        }
        let composite = COMPOSITE.into_iter().find(|composite| composite.class() == class);
        let composite = composite.ok_or_else(|| {
            StateError::Incompatible(format!("it has a serializer `{class}`, which is not known here"))
        })?;
        expect(input, COMPOSITE_MAGIC, || format!("the first number of `{class}`"))?;
        expect(input, composite.outer_version(), || format!("the outer version of `{class}`"))?;
        let tuple = if composite == CompositeSerializer::Tuple { Some(read_utf(input)?) } else { None };
        expect(input, NESTED_MAGIC, || format!("the number before what `{class}` is made of"))?;
        expect(input, NESTED_VERSION, || format!("the version of what `{class}` is made of"))?;
        let count = i32::decode(input)?;
        let is_right =
            |count: &usize| composite.takes(*count) && tuple.is_none_or(|tuple| tuple == tuple_class(*count));
        let count = usize::try_from(count).ok().filter(is_right);
        let count =
            count.ok_or_else(|| damaged(format!("`{class}` is made of a number of serializers that is not its")))?;
        let depth = depth.checked_sub(1).ok_or_else(|| damaged("its serializers are nested too deep".to_owned()))?;
        let nested = (0..count).map(|_| Self::read_nested(input, depth)).collect::<StateResult<_>>()?;
        Ok(Self::Composite(composite, nested))
    }
}

fn damaged(what: String) -> StateError {
    StateError::Snapshot(what)
}

/// Appends numbers one after another.
pub(super) fn write_ints<const N: usize>(numbers: [i32; N], out: &mut Vec<u8>) {
    numbers.iter().for_each(|number| number.encode(out));
}

/// Reads a number that must be this one.
pub(super) fn expect(input: &mut &[u8], expected: i32, what: impl FnOnce() -> String) -> StateResult<()> {
    let found = i32::decode(input)?;
    if found == expected {
        return Ok(());
    }
    Err(damaged(format!("{} is {found} and should be {expected}", what())))
}

impl From<SimpleSerializer> for Serializer {
    fn from(simple: SimpleSerializer) -> Self {
        Self::Simple(simple)
    }
}

/// As the types in Java: `Map<String, Long>`.
impl fmt::Display for Serializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(SimpleSerializer::Bytes) => f.write_str("byte[]"),
            Self::Simple(simple) => write!(f, "{simple:?}"),
            Self::Composite(composite, nested) => {
                match composite {
                    CompositeSerializer::Tuple => write!(f, "Tuple{}", nested.len())?,
                    other => write!(f, "{other:?}")?,
                }
                f.write_str("<")?;
                for (position, nested) in nested.iter().enumerate() {
                    let comma = if position > 0 { ", " } else { "" };
                    write!(f, "{comma}{nested}")?;
                }
                f.write_str(">")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ObjectMap, Payload, TimeWindow, Timed, Timer, VoidNamespace};

    fn written(serializer: &Serializer) -> Vec<u8> {
        let mut out = Vec::new();
        serializer.write(&mut out);
        out
    }

    #[test]
    fn every_type_has_the_serializer_of_flink() {
        let names = [
            <(i32, f64, bool)>::serializer(),
            <ObjectMap<String, Vec<Payload>>>::serializer(),
            <Timed<String>>::serializer(),
            <Timer<i64, VoidNamespace>>::serializer(),
            <(TimeWindow, i64)>::serializer(),
        ];
        insta::assert_snapshot!(names.each_ref().map(Serializer::to_string).join("; "), @"Tuple3<Int, Double, Boolean>; Map<String, List<byte[]>>; Ttl<Long, String>; Timer<Long, VoidNamespace>; Tuple2<TimeWindow, Long>");
        for serializer in names {
            let bytes = written(&serializer);
            assert_eq!(Serializer::read(&mut bytes.as_slice()).unwrap(), serializer);
            for end in 0..bytes.len() {
                assert!(Serializer::read(&mut &bytes[..end]).is_err(), "{end} bytes of {serializer}");
            }
        }
    }

    #[test]
    fn a_composite_has_the_layout_of_flink() {
        let bytes = written(&<(i64, i64)>::serializer());
        let long = written(&i64::serializer());
        let mut expected = Vec::new();
        write_utf("org.apache.flink.api.java.typeutils.runtime.TupleSerializerSnapshot", &mut expected);
        write_ints([3, 911_108, 2], &mut expected);
        write_utf("org.apache.flink.api.java.tuple.Tuple2", &mut expected);
        write_ints([1_333_245, 1, 2], &mut expected);
        expected.extend([long.as_slice(), &long].concat());
        assert_eq!(bytes, expected);
        assert_eq!(long.len(), 2 + 80 + 4);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let read = |bytes: &[u8]| Serializer::read(&mut &*bytes).unwrap_err().to_string();
        let mut other = Vec::new();
        write_utf("com.example.OrderSerializerSnapshot", &mut other);
        3.encode(&mut other);
        insta::assert_snapshot!(read(&other), @"the checkpoint does not fit this job: it has a serializer `com.example.OrderSerializerSnapshot`, which is not known here");
        let deep = (0..40).fold(i64::serializer(), |inner, _| Serializer::list(inner));
        insta::assert_snapshot!(read(&written(&deep)), @"the checkpoint is damaged: its serializers are nested too deep");
        let mut later = written(&i64::serializer());
        later[85] = 4;
        insta::assert_snapshot!(read(&later), @"the checkpoint is damaged: the version of `org.apache.flink.api.common.typeutils.base.LongSerializer$LongSerializerSnapshot` is 4 and should be 3");
    }
}
