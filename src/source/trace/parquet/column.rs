//! One column of a Parquet file: its type, its values, and what a trace makes of them.

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{BoolType, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type, Int96Type};
use parquet::errors::ParquetError;
use parquet::file::reader::RowGroupReader;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

use super::pages::CheckedPages;
use crate::source::trace::error::printable_bytes;
use crate::source::trace::number::{integer, scaled};
use crate::source::trace::time::{show_time, time};
use crate::workload::TimeFormat;

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Integer,
    Unsigned,
    /// Counted in this format's unit.
    Timestamp(TimeFormat),
    Date,
    Int96,
    /// An integer with this many decimal places.
    Decimal(u32),
    Float,
    Text,
    /// Nothing that a trace can use.
    Other,
}

impl Kind {
    fn of(descr: &ColumnDescriptor) -> Self {
        if descr.max_rep_level() > 0 {
            return Self::Other;
        }
        let (logical, converted) = (descr.logical_type_ref(), descr.converted_type());
        match (descr.physical_type(), logical, converted) {
            (Type::BOOLEAN, ..) => Self::Bool,
            (Type::INT96, ..) => Self::Int96,
            (Type::FLOAT | Type::DOUBLE, ..) => Self::Float,
            (Type::INT64, Some(LogicalType::Timestamp(timestamp)), _) => Self::Timestamp(match timestamp.unit {
                TimeUnit::MILLIS => TimeFormat::EpochMs,
                TimeUnit::MICROS => TimeFormat::EpochUs,
                TimeUnit::NANOS => TimeFormat::EpochNs,
            }),
            (Type::INT64, None, ConvertedType::TIMESTAMP_MILLIS) => Self::Timestamp(TimeFormat::EpochMs),
            (Type::INT64, None, ConvertedType::TIMESTAMP_MICROS) => Self::Timestamp(TimeFormat::EpochUs),
            (Type::INT32, Some(LogicalType::Date), _) | (Type::INT32, None, ConvertedType::DATE) => Self::Date,
            (Type::INT32 | Type::INT64, Some(LogicalType::Decimal(decimal)), _) => Self::decimal(decimal.scale),
            (Type::INT32 | Type::INT64, None, ConvertedType::DECIMAL) => Self::decimal(descr.type_scale()),
            (Type::INT32 | Type::INT64, Some(LogicalType::Integer(int)), _) if !int.is_signed => Self::Unsigned,
            (
                Type::INT32 | Type::INT64,
                None,
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64,
            ) => Self::Unsigned,
            (Type::INT32 | Type::INT64, ..) => Self::Integer,
            (Type::BYTE_ARRAY, Some(LogicalType::String | LogicalType::Enum | LogicalType::Json), _)
            | (
                Type::BYTE_ARRAY,
                None,
                ConvertedType::NONE | ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON,
            ) => Self::Text,
            (Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY, ..) => Self::Other,
        }
    }

    /// Whether it tells a time by itself.
    pub(super) fn has_time_unit(self) -> bool {
        matches!(self, Self::Timestamp(_) | Self::Date | Self::Int96)
    }

    pub(super) fn is_time(self) -> bool {
        self.has_time_unit() || matches!(self, Self::Text | Self::Integer | Self::Unsigned)
    }

    pub(super) fn is_key(self) -> bool {
        matches!(self, Self::Integer | Self::Unsigned | Self::Timestamp(_) | Self::Date | Self::Text | Self::Bool)
    }

    pub(super) fn is_value(self) -> bool {
        !matches!(self, Self::Int96 | Self::Other)
    }

    pub(super) fn is_size(self) -> bool {
        matches!(self, Self::Text | Self::Integer | Self::Unsigned)
    }

    fn decimal(scale: i32) -> Self {
        u32::try_from(scale).map_or(Self::Other, Self::Decimal)
    }
}

/// One column of the file and the values of the chunk, each at its row.
pub(super) struct Column {
    pub(super) name: String,
    index: usize,
    descr: ColumnDescPtr,
    pub(super) kind: Kind,
    max_level: i16,
    /// Definition levels: a value is there where it is `max_level`. Empty where every row has one.
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Bool(Typed<BoolType>),
    Int32(Typed<Int32Type>),
    Int64(Typed<Int64Type>),
    Int96(Typed<Int96Type>),
    Float(Typed<FloatType>),
    Double(Typed<DoubleType>),
    Bytes(Typed<ByteArrayType>),
    /// Of a type that is not read.
    None,
}

struct Typed<T: DataType> {
    reader: Option<ColumnReaderImpl<T>>,
    values: Vec<T::T>,
}

impl<T: DataType> Typed<T> {
    const fn new() -> Self {
        Self { reader: None, values: Vec::new() }
    }

    /// Reads the next `rows` rows and puts every value at its row.
    fn decode(&mut self, rows: usize, max_level: i16, levels: &mut Vec<i16>) -> Result<(), ParquetError> {
        self.values.clear();
        levels.clear();
        let reader = self.reader.as_mut().ok_or_else(|| ParquetError::General("no row group is open".to_owned()))?;
        let mut read = 0;
        while read < rows {
            let (records, _, _) = reader.read_records(rows - read, Some(levels), None, &mut self.values)?;
            if records == 0 {
                let reason = format!("a column ends {} rows before its row group does", rows - read);
                return Err(ParquetError::General(reason));
            }
            read += records;
        }
        let mut from = self.values.len();
        if from == rows {
            levels.clear();
            return Ok(());
        }
        if levels.iter().filter(|&&level| level == max_level).count() != from || levels.len() != rows {
            return Err(ParquetError::General("definition levels do not fit the values".to_owned()));
        }
        self.values.resize(rows, T::T::default());
        for row in (0..rows).rev() {
            if levels[row] == max_level {
                from -= 1;
                self.values.swap(row, from);
            }
        }
        Ok(())
    }
}

/// Runs an expression on whichever typed column there is.
macro_rules! each {
    ($values:expr, $typed:ident => $body:expr, $otherwise:expr) => {
        match $values {
            Values::Bool($typed) => $body,
            Values::Int32($typed) => $body,
            Values::Int64($typed) => $body,
            Values::Int96($typed) => $body,
            Values::Float($typed) => $body,
            Values::Double($typed) => $body,
            Values::Bytes($typed) => $body,
            Values::None => $otherwise,
        }
    };
}

impl Column {
    pub(super) fn new(index: usize, descr: &ColumnDescPtr) -> Self {
        let kind = Kind::of(descr);
        let values = match descr.physical_type() {
            _ if kind == Kind::Other => Values::None,
            Type::BOOLEAN => Values::Bool(Typed::new()),
            Type::INT32 => Values::Int32(Typed::new()),
            Type::INT64 => Values::Int64(Typed::new()),
            Type::INT96 => Values::Int96(Typed::new()),
            Type::FLOAT => Values::Float(Typed::new()),
            Type::DOUBLE => Values::Double(Typed::new()),
            Type::BYTE_ARRAY => Values::Bytes(Typed::new()),
            Type::FIXED_LEN_BYTE_ARRAY => Values::None,
        };
        Self {
            name: descr.path().string(),
            index,
            descr: descr.clone(),
            kind,
            max_level: descr.max_def_level(),
            levels: Vec::new(),
            values,
        }
    }

    /// The same column, not yet read.
    pub(super) fn reopened(&self) -> Self {
        Self::new(self.index, &self.descr)
    }

    /// Starts on the column's part of a row group.
    pub(super) fn open(&mut self, group: &dyn RowGroupReader) -> Result<(), ParquetError> {
        if matches!(self.values, Values::None) {
            return Ok(());
        }
        let pages = group.get_column_page_reader(self.index)?;
        let pages = Box::new(CheckedPages::new(pages, self.max_level));
        each!(&mut self.values, typed => typed.reader = Some(ColumnReaderImpl::new(self.descr.clone(), pages)), {});
        Ok(())
    }

    pub(super) fn decode(&mut self, rows: usize) -> Result<(), ParquetError> {
        each!(&mut self.values, typed => typed.decode(rows, self.max_level, &mut self.levels), Ok(()))
    }

    /// What its type is called in messages.
    pub(super) fn describe(&self) -> String {
        match self.kind {
            Kind::Bool => "a boolean".to_owned(),
            Kind::Integer => "an integer".to_owned(),
            Kind::Unsigned => "an unsigned integer".to_owned(),
            Kind::Timestamp(TimeFormat::EpochUs) => "a timestamp in µs".to_owned(),
            Kind::Timestamp(TimeFormat::EpochNs) => "a timestamp in ns".to_owned(),
            Kind::Timestamp(_) => "a timestamp in ms".to_owned(),
            Kind::Date => "a date".to_owned(),
            Kind::Int96 => "a timestamp of 96 bits".to_owned(),
            Kind::Decimal(places) => format!("a decimal with {places} places"),
            Kind::Float => "a floating-point number".to_owned(),
            Kind::Text => "a text".to_owned(),
            Kind::Other if self.descr.max_rep_level() > 0 => "a repeated field".to_owned(),
            Kind::Other => format!("a {}", self.descr.physical_type()),
        }
    }

    /// Whether the row has no value, or an empty text.
    #[inline]
    pub(super) fn is_missing(&self, row: usize) -> bool {
        if self.levels.get(row).is_some_and(|&level| level != self.max_level) {
            return true;
        }
        match &self.values {
            Values::Bytes(typed) => typed.values[row].is_empty(),
            Values::None => true,
            _ => false,
        }
    }

    /// The value as it is stored, where it is an integer of any kind; a text is parsed.
    #[inline]
    pub(super) fn integer(&self, row: usize) -> Option<i64> {
        match &self.values {
            Values::Int32(typed) if self.kind == Kind::Unsigned => Some(i64::from(typed.values[row] as u32)),
            Values::Int32(typed) => Some(i64::from(typed.values[row])),
            Values::Int64(typed) if self.kind == Kind::Unsigned => i64::try_from(typed.values[row] as u64).ok(),
            Values::Int64(typed) => Some(typed.values[row]),
            Values::Bool(typed) => Some(i64::from(typed.values[row])),
            Values::Bytes(typed) => integer(typed.values[row].data().trim_ascii()),
            _ => None,
        }
    }

    /// The value as epoch ms.
    #[inline]
    pub(super) fn time_ms(&self, row: usize, format: TimeFormat) -> Option<i64> {
        match (&self.values, self.kind) {
            (Values::Bytes(typed), _) => time(typed.values[row].data(), format),
            (Values::Int96(typed), _) => Some(typed.values[row].to_millis()),
            (_, Kind::Timestamp(unit)) => self.integer(row).and_then(|number| unit.to_ms(number)),
            (_, Kind::Date) => self.integer(row)?.checked_mul(86_400_000),
            _ => self.integer(row).and_then(|number| format.to_ms(number)),
        }
    }

    /// The value times `scale`, where that is an integer.
    #[inline]
    pub(super) fn scaled(&self, row: usize, scale: i64) -> Option<i64> {
        match (&self.values, self.kind) {
            (Values::Bytes(typed), _) => scaled(typed.values[row].data(), scale),
            (Values::Float(typed), _) => {
                let number = typed.values[row];
                let whole = (f64::from(number) * scale as f64).round();
                fits(same(f64::from((whole / scale as f64) as f32), f64::from(number)), whole)
            }
            (Values::Double(typed), _) => {
                // The double nearest to a decimal is taken for that decimal: 1.1 times 100 is 110.
                let number = typed.values[row];
                let whole = (number * scale as f64).round();
                fits(same(whole / scale as f64, number), whole)
            }
            (_, Kind::Decimal(places)) => {
                let number = i128::from(self.integer(row)?) * i128::from(scale);
                let unit = 10_i128.checked_pow(places)?;
                if number % unit == 0 { i64::try_from(number / unit).ok() } else { None }
            }
            _ => self.integer(row)?.checked_mul(scale),
        }
    }

    /// Appends the value as a key is written; `None` where its bytes are not UTF-8.
    #[inline]
    pub(super) fn push_text(&self, row: usize, text: &mut String) -> Option<()> {
        use std::fmt::Write;
        match &self.values {
            Values::Bytes(typed) => text.push_str(std::str::from_utf8(typed.values[row].data()).ok()?),
            Values::Bool(typed) => text.push_str(if typed.values[row] { "true" } else { "false" }),
            Values::Int64(typed) if self.kind == Kind::Unsigned => write!(text, "{}", typed.values[row] as u64).ok()?,
            _ => write!(text, "{}", self.integer(row)?).ok()?,
        }
        Some(())
    }

    /// The value for a message or a sample.
    pub(super) fn show(&self, row: usize) -> String {
        match (&self.values, self.kind) {
            (Values::Bytes(typed), _) => printable_bytes(typed.values[row].data()),
            (Values::Float(typed), _) => typed.values[row].to_string(),
            (Values::Double(typed), _) => typed.values[row].to_string(),
            (_, Kind::Timestamp(_) | Kind::Date | Kind::Int96) => {
                self.time_ms(row, TimeFormat::Auto).map_or_else(String::new, show_time)
            }
            (_, Kind::Decimal(places)) => {
                let unit = 10_f64.powi(places.cast_signed());
                self.integer(row).map_or_else(String::new, |number| (number as f64 / unit).to_string())
            }
            _ => {
                let mut text = String::new();
                self.push_text(row, &mut text);
                text
            }
        }
    }
}

/// Whether two doubles are the same number; NaN is not.
fn same(a: f64, b: f64) -> bool {
    a.partial_cmp(&b) == Some(std::cmp::Ordering::Equal)
}

/// An integral double as an integer, where `exact` says that it stands for the value and 64 bits hold it.
fn fits(exact: bool, whole: f64) -> Option<i64> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    (exact && (-LIMIT..LIMIT).contains(&whole)).then_some(whole as i64)
}
