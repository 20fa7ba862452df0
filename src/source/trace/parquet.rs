//! Rows of a Parquet file, through the typed column readers: one row group at a time, a few thousand rows at a time.
//!
//! The decoder may panic on bytes that no writer wrote. Every call into it is therefore guarded, and a panic becomes the
//! error that the file is damaged. What would make it reserve absurd amounts of memory is checked before it sees it.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use parquet::basic::{ConvertedType, Encoding, LogicalType, TimeUnit, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{BoolType, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type, Int96Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

use super::{
    ALLOWED_SIZE, Cursor, KEY_SEPARATOR, MAX_LINE_BYTES, Place, TimeFormat, Trace, TraceBatch, TraceError,
    allowed_value, file_name, integer, open_file, printable, printable_bytes, scaled, time,
};

/// Rows decoded at once.
const CHUNK_ROWS: usize = 4096;

/// The rows of a Parquet file.
pub(super) struct ParquetRows {
    file: SerializedFileReader<File>,
    columns: Vec<Column>,
    /// The row group to be opened next.
    group: usize,
    /// Rows of the open group that are not decoded yet.
    left: usize,
    /// Number in the file, from 1, of the first row of the decoded chunk.
    chunk_row: u64,
    /// The rows of the chunk in which no mapped column is missing.
    kept: Vec<u32>,
    /// How many of them are handed out.
    taken: usize,
}

impl ParquetRows {
    pub(super) fn open(file: File, trace: &Trace) -> Result<Self, TraceError> {
        let path = trace.path();
        let (file, all) = open_columns(file, path)?;
        let mapping = &trace.mapping;
        let mut columns = Vec::with_capacity(mapping.columns.len());
        for name in &mapping.columns {
            let mut found = all.iter().filter(|column| column.name == *name);
            match (found.next(), found.next()) {
                (Some(column), None) => columns.push(Column::new(column.index, &column.descr)),
                (Some(_), Some(_)) => {
                    return Err(TraceError::AmbiguousColumn { file: file_name(path), column: printable(name, 40) });
                }
                (None, _) => return Err(TraceError::no_column(path, name, all.iter().map(|c| c.name.as_str()))),
            }
        }
        let refuse = |column: &Column, role, allowed: &str| {
            let (file, column_name, found) = (file_name(path), printable(&column.name, 40), column.describe());
            Err(TraceError::ColumnType { file, column: column_name, role, found, allowed: allowed.to_owned() })
        };
        let column = &columns[mapping.time];
        let has_unit = matches!(column.kind, Kind::Timestamp(_) | Kind::Date | Kind::Int96);
        if !has_unit && !matches!(column.kind, Kind::Text | Kind::Integer | Kind::Unsigned) {
            return refuse(column, "time", "a timestamp, a date, an integer or a text");
        }
        if has_unit && trace.time_format != TimeFormat::Auto {
            return refuse(column, "time", "an integer or a text with this `time-format`; leave `time-format` out");
        }
        for column in mapping.keys.iter().map(|&i| &columns[i]) {
            let whole = matches!(column.kind, Kind::Integer | Kind::Unsigned | Kind::Timestamp(_) | Kind::Date);
            if !whole && !matches!(column.kind, Kind::Text | Kind::Bool) {
                return refuse(column, "key", "a text, an integer or a boolean");
            }
        }
        if let Some(column) = mapping.value.map(|i| &columns[i])
            && matches!(column.kind, Kind::Int96 | Kind::Other)
        {
            return refuse(column, "value", "a number, a boolean or a text");
        }
        if let Some(column) = mapping.size.map(|i| &columns[i])
            && !matches!(column.kind, Kind::Text | Kind::Integer | Kind::Unsigned)
        {
            return refuse(column, "size", "an integer or a text");
        }
        Ok(Self { file, columns, group: 0, left: 0, chunk_row: 1, kept: Vec::new(), taken: 0 })
    }

    pub(super) fn read(
        &mut self,
        cursor: &mut Cursor,
        batch: &mut TraceBatch,
        max_rows: usize,
    ) -> Result<(), TraceError> {
        while batch.has_room(max_rows) {
            if self.taken == self.kept.len() && !self.next_chunk(cursor)? {
                break;
            }
            self.take(cursor, batch, max_rows)?;
        }
        Ok(())
    }

    /// Decodes the next rows of every column; false at the end of the file.
    fn next_chunk(&mut self, cursor: &mut Cursor) -> Result<bool, TraceError> {
        self.taken = 0;
        self.kept.clear();
        let (file, columns) = (&self.file, &mut self.columns);
        while self.left == 0 {
            if self.group == file.num_row_groups() {
                return Ok(false);
            }
            let group = self.group;
            self.left = guarded(&cursor.trace.path, || {
                let group = file.get_row_group(group)?;
                columns.iter_mut().try_for_each(|column| column.open(group.as_ref()))?;
                Ok(usize::try_from(group.metadata().num_rows())?)
            })?;
            self.group += 1;
        }
        let rows = self.left.min(CHUNK_ROWS);
        guarded(&cursor.trace.path, || columns.iter_mut().try_for_each(|column| column.decode(rows)))?;
        self.left -= rows;
        self.chunk_row = cursor.row + 1;
        cursor.row += rows as u64;
        for row in 0..rows {
            match self.columns.iter().position(|column| column.is_missing(row)) {
                None => self.kept.push(row as u32),
                Some(column) => cursor.missing(place(self.chunk_row, row), column)?,
            }
        }
        Ok(true)
    }

    /// Appends rows of the chunk to the batch.
    fn take(&mut self, cursor: &mut Cursor, batch: &mut TraceBatch, max_rows: usize) -> Result<(), TraceError> {
        let columns = &self.columns;
        let (time_format, scale) = (cursor.trace.time_format, cursor.trace.value_scale);
        let mapping = cursor.trace.mapping.clone();
        let from = self.taken;
        for &row in &self.kept[from..] {
            if !batch.has_room(max_rows) {
                break;
            }
            let start = batch.key_text.len();
            for (i, &column) in mapping.keys.iter().enumerate() {
                if i > 0 {
                    batch.key_text.push(KEY_SEPARATOR);
                }
                if columns[column].push_text(row as usize, &mut batch.key_text).is_none() {
                    return Err(TraceError::NotUtf8 {
                        file: cursor.file(),
                        place: place(self.chunk_row, row as usize),
                        column: printable(&columns[column].name, 40),
                        found: columns[column].show(row as usize),
                    });
                }
            }
            if batch.key_text.len() - start > MAX_LINE_BYTES {
                return Err(TraceError::TooLong { file: cursor.file(), place: place(self.chunk_row, row as usize) });
            }
            batch.end_key();
            self.taken += 1;
        }
        let rows = &self.kept[from..self.taken];
        let bad = |cursor: &Cursor, column: usize, row: usize, allowed: &str| {
            cursor.bad(place(self.chunk_row, row), column, columns[column].show(row).as_bytes(), allowed)
        };
        for row in rows.iter().map(|&row| row as usize) {
            let time = columns[mapping.time].time_ms(row, time_format);
            let time = time.ok_or_else(|| bad(cursor, mapping.time, row, time_format.allowed()))?;
            cursor.advance(time, place(self.chunk_row, row))?;
            batch.time_ms.push(time);
        }
        match mapping.value {
            None => batch.value.resize(batch.key_ends.len(), 0),
            Some(column) => {
                for row in rows.iter().map(|&row| row as usize) {
                    let value = columns[column].scaled(row, scale);
                    batch.value.push(value.ok_or_else(|| bad(cursor, column, row, &allowed_value(scale)))?);
                }
            }
        }
        match mapping.size {
            None => batch.size.resize(batch.key_ends.len(), 0),
            Some(column) => {
                for row in rows.iter().map(|&row| row as usize) {
                    let size = columns[column].integer(row).and_then(|size| u32::try_from(size).ok());
                    batch.size.push(size.ok_or_else(|| bad(cursor, column, row, ALLOWED_SIZE))?);
                }
            }
        }
        Ok(())
    }
}

fn place(first: u64, row: usize) -> Place {
    Place { row: first + row as u64, line: None }
}

/// The columns of a file with the names of their types, and their first rows as texts.
#[expect(clippy::type_complexity, reason = "names and types, then rows of texts")]
pub(super) fn sample(path: &Path, rows: usize) -> Result<(Vec<(String, String)>, Vec<Vec<String>>), TraceError> {
    let (file, mut columns) = open_columns(open_file(path)?, path)?;
    let rows = guarded(path, || {
        if file.num_row_groups() == 0 {
            return Ok(0);
        }
        let group = file.get_row_group(0)?;
        let rows = usize::try_from(group.metadata().num_rows())?.min(rows);
        for column in &mut columns {
            column.open(group.as_ref())?;
            column.decode(rows)?;
        }
        Ok(rows)
    })?;
    let show = |column: &Column, row| if column.is_missing(row) { String::new() } else { column.show(row) };
    let sampled = (0..rows).map(|row| columns.iter().map(|column| show(column, row)).collect()).collect();
    Ok((columns.iter().map(|column| (column.name.clone(), column.describe())).collect(), sampled))
}

fn open_columns(file: File, path: &Path) -> Result<(SerializedFileReader<File>, Vec<Column>), TraceError> {
    guarded(path, || {
        let file = SerializedFileReader::new(file)?;
        let schema = file.metadata().file_metadata().schema_descr();
        let columns = schema.columns().iter().enumerate().map(|(index, descr)| Column::new(index, descr)).collect();
        Ok((file, columns))
    })
}

thread_local! {
    /// Whether this thread is in the decoder.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Set once the hook leaves the decoder's panics out.
static QUIET: Once = Once::new();

/// Runs a part of the decoder; an error or a panic of it is an error of the file. The panic, being reported as one, is
/// not also printed: the hook that prints panics is told to leave out those of the decoder.
fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, TraceError> {
    let corrupt = |reason: &str| TraceError::Corrupt { file: file_name(path), reason: printable(reason, 200) };
    QUIET.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !DECODING.get() {
                print(info);
            }
        }));
    });
    DECODING.set(true);
    let decoded = panic::catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    match decoded {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(ParquetError::External(error))) => match error.downcast::<io::Error>() {
            // An offset out of range, which the system calls an invalid argument, comes from the file.
            Ok(error) if error.raw_os_error().is_some() && error.kind() != io::ErrorKind::InvalidInput => {
                Err(TraceError::io(path, *error))
            }
            Ok(error) => Err(corrupt(&error.to_string())),
            Err(error) => Err(corrupt(&error.to_string())),
        },
        Ok(Err(error)) => Err(corrupt(&error.to_string())),
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
            Err(corrupt(&format!("the decoder gave up: {}", text.unwrap_or("no reason given"))))
        }
    }
}

/// What the values of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
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

    fn decimal(scale: i32) -> Self {
        u32::try_from(scale).map_or(Self::Other, Self::Decimal)
    }
}

/// One column of the file and the values of the chunk, each at its row.
struct Column {
    name: String,
    index: usize,
    descr: ColumnDescPtr,
    kind: Kind,
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
    fn new(index: usize, descr: &ColumnDescPtr) -> Self {
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

    /// Starts on the column's part of a row group.
    fn open(&mut self, group: &dyn RowGroupReader) -> Result<(), ParquetError> {
        if matches!(self.values, Values::None) {
            return Ok(());
        }
        let pages = group.get_column_page_reader(self.index)?;
        let pages = Box::new(CheckedPages { pages, max_level: self.max_level });
        each!(&mut self.values, typed => typed.reader = Some(ColumnReaderImpl::new(self.descr.clone(), pages)), {});
        Ok(())
    }

    fn decode(&mut self, rows: usize) -> Result<(), ParquetError> {
        each!(&mut self.values, typed => typed.decode(rows, self.max_level, &mut self.levels), Ok(()))
    }

    /// What its type is called in messages.
    fn describe(&self) -> String {
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
    fn is_missing(&self, row: usize) -> bool {
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
    fn integer(&self, row: usize) -> Option<i64> {
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
    fn time_ms(&self, row: usize, format: TimeFormat) -> Option<i64> {
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
    fn scaled(&self, row: usize, scale: i64) -> Option<i64> {
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
    fn push_text(&self, row: usize, text: &mut String) -> Option<()> {
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
    fn show(&self, row: usize) -> String {
        match (&self.values, self.kind) {
            (Values::Bytes(typed), _) => printable_bytes(typed.values[row].data()),
            (Values::Float(typed), _) => typed.values[row].to_string(),
            (Values::Double(typed), _) => typed.values[row].to_string(),
            (_, Kind::Timestamp(_) | Kind::Date | Kind::Int96) => {
                self.time_ms(row, TimeFormat::Auto).map_or_else(String::new, super::inspect::show_time)
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

/// Pages whose declared counts fit their bytes. The decoder reserves memory for a count before it looks for the values.
struct CheckedPages {
    pages: Box<dyn PageReader>,
    max_level: i16,
}

impl CheckedPages {
    fn check(&self, page: &Page) -> Result<(), ParquetError> {
        let bytes: &[u8] = page.buffer();
        let plausible = match page {
            // Every type that has dictionaries takes four bytes a value, or more.
            Page::DictionaryPage { num_values, .. } => *num_values as usize <= bytes.len() / 4,
            Page::DataPage { encoding, num_values, .. } => {
                let levels = if self.max_level == 0 {
                    0
                } else {
                    bytes.first_chunk().map_or(0, |len| (u32::from_le_bytes(*len) as usize).saturating_add(4))
                };
                delta_count_fits(*encoding, bytes.get(levels..), *num_values)
            }
            Page::DataPageV2 { encoding, num_values, def_levels_byte_len, .. } => {
                delta_count_fits(*encoding, bytes.get(*def_levels_byte_len as usize..), *num_values)
            }
        };
        if plausible {
            Ok(())
        } else {
            Err(ParquetError::General("a page declares more values than it has".to_owned()))
        }
    }
}

/// Whether delta-encoded values are not more than the page's. The count is the third number of their header.
fn delta_count_fits(encoding: Encoding, values: Option<&[u8]>, num_values: u32) -> bool {
    if !matches!(encoding, Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY) {
        return true;
    }
    let mut values = values.unwrap_or_default().iter();
    let mut var_int = || {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = *values.next()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    };
    let header = (var_int(), var_int(), var_int());
    header.2.is_none_or(|count| count <= u64::from(num_values))
}

impl Iterator for CheckedPages {
    type Item = Result<Page, ParquetError>;
    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>, ParquetError> {
        let page = self.pages.get_next_page()?;
        page.as_ref().map_or(Ok(()), |page| self.check(page))?;
        Ok(page)
    }
    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>, ParquetError> {
        self.pages.peek_next_page()
    }
    fn skip_next_page(&mut self) -> Result<(), ParquetError> {
        self.pages.skip_next_page()
    }
}
