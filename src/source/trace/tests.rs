//! What the three formats agree on, and every way in which a file can be wrong.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::parquet::basic::{Compression, Encoding, ZstdLevel};
use ::parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type, Int96, Int96Type,
};
use ::parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use serde_json::json;

use super::time::show_time;
use super::*;
use crate::workload::{Trace, TraceFormat};

/// A folder that goes with the test, and files in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A trace of a file with mapping keys besides the path; time is `at` and key is `key` unless they say otherwise.
    fn trace(&self, name: &str, mapping: serde_json::Value) -> Trace {
        let mut wire = json!({ "path": name, "time": "at", "key": "key" });
        let serde_json::Value::Object(mapping) = mapping else { panic!("not an object") };
        wire.as_object_mut().unwrap().extend(mapping);
        Trace::new(&serde_json::from_value(wire).unwrap(), self.0.path()).unwrap()
    }

    /// The message of an error with the folder left out.
    fn message(&self, error: &TraceError) -> String {
        error.to_string().replace(&format!("{}/", self.0.path().display()), "")
    }

    fn error(&self, name: &str, mapping: serde_json::Value) -> String {
        let error = read(&self.trace(name, mapping), 100).unwrap_err();
        assert!(error.is_input(), "{error}");
        self.message(&error)
    }

    fn csv_error(&self, content: impl AsRef<[u8]>, mapping: serde_json::Value) -> String {
        self.file("t.csv", content);
        self.error("t.csv", mapping)
    }

    fn json_error(&self, content: impl AsRef<[u8]>, mapping: serde_json::Value) -> String {
        self.file("t.jsonl", content);
        self.error("t.jsonl", mapping)
    }
}

type Rows = Vec<(i64, String, i64, u32)>;

/// All rows of a trace in batches of at most `max_rows`, and how many were skipped.
fn read(trace: &Trace, max_rows: usize) -> Result<(Rows, u64), TraceError> {
    let (mut reader, mut batch, mut rows) = (TraceReader::open(trace)?, TraceBatch::new(), Rows::new());
    while reader.read(&mut batch, max_rows)? > 0 {
        assert!(batch.len() <= max_rows);
        assert_eq!([batch.time_ms.len(), batch.value.len(), batch.size.len()], [batch.len(); 3]);
        let row = |i| (batch.time_ms[i], batch.key(i).to_owned(), batch.value[i], batch.size[i]);
        rows.extend((0..batch.len()).map(row));
    }
    assert_eq!(reader.rows(), rows.len() as u64);
    Ok((rows, reader.skipped()))
}

/// One event as the tests write it; `None` is an empty field, a null, or a value that is not there.
#[derive(Debug, Clone)]
struct Sample {
    at_ms: Option<i64>,
    origin: Option<String>,
    destination: Option<String>,
    cents: Option<i64>,
    bytes: u32,
}

impl Sample {
    fn new(at_ms: i64, origin: &str, destination: &str, cents: i64, bytes: u32) -> Self {
        let (origin, destination) = (Some(origin.to_owned()), Some(destination.to_owned()));
        Self { at_ms: Some(at_ms), origin, destination, cents: Some(cents), bytes }
    }
}

fn samples() -> Vec<Sample> {
    let mut samples = vec![
        Sample::new(978_307_260_000, "LAS", "PHL", 3300, 1),
        Sample::new(978_307_260_123, "Zürich, \"Kloten\"", "a\nb\\c\t", -1310, 0),
        Sample::new(978_393_599_999, "{\"not\": \"nested\"}", "[x", 7, u32::MAX),
    ];
    samples.extend((0..50).map(|i| Sample::new(978_400_000_000 + i * 977, "ATL", &format!("D{i}"), i - 25, i as u32)));
    samples
}

const MESSAGE: &str = "message trace {
    optional int64 at (TIMESTAMP(MICROS,true));
    optional binary origin (UTF8);
    optional binary destination (UTF8);
    optional double amount;
    required int32 bytes (INTEGER(32,false));
}";

fn mapping() -> serde_json::Value {
    json!({ "key": ["origin", "destination"], "value": "amount", "value-scale": 100, "size": "bytes" })
}

fn expected(samples: &[Sample]) -> Rows {
    let row = |s: &Sample| {
        let key = format!("{}\u{1f}{}", s.origin.as_ref()?, s.destination.as_ref()?);
        Some((s.at_ms?, key, s.cents?, s.bytes))
    };
    samples.iter().filter_map(row).collect()
}

fn as_csv(samples: &[Sample]) -> String {
    let quoted = |text: &Option<String>| format!("\"{}\"", text.clone().unwrap_or_default().replace('"', "\"\""));
    let mut text = "unused,at,origin,destination,amount,bytes\n".to_owned();
    for s in samples {
        let at = s.at_ms.map(show_time).unwrap_or_default();
        let amount = s.cents.map(|cents| (cents as f64 / 100.0).to_string()).unwrap_or_default();
        writeln!(text, "x,{at},{},{},{amount},{}", quoted(&s.origin), quoted(&s.destination), s.bytes).unwrap();
    }
    text
}

fn as_json(samples: &[Sample]) -> String {
    let mut text = "\u{feff}".to_owned();
    for (i, s) in samples.iter().enumerate() {
        let at = s.at_ms.map(|ms| format!("{}Z", show_time(ms).replace(' ', "T")));
        let mut line = json!({
            "nested": { "at": [1, 2] }, "at": at, "origin": s.origin, "destination": s.destination,
            "amount": s.cents.map(|cents| cents as f64 / 100.0), "bytes": s.bytes,
        });
        if s.cents.is_none() {
            line.as_object_mut().unwrap().remove("amount");
        }
        writeln!(text, "{line}{}", if i % 7 == 3 { "\r\n\n  " } else { "" }).unwrap();
    }
    text
}

/// Writes the present values of a column and the levels that tell which are.
fn column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, values: &[Option<T::T>]) {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.iter().flatten().cloned().collect();
    let mut writer = group.next_column().unwrap().unwrap();
    writer.typed::<T>().write_batch(&values, Some(&levels), None).unwrap();
    writer.close().unwrap();
}

fn text(text: &str) -> ByteArray {
    ByteArray::from(text.as_bytes().to_vec())
}

fn as_parquet(samples: &[Sample], rows_per_group: usize, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(MESSAGE).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
    for samples in samples.chunks(rows_per_group) {
        let mut group = writer.next_row_group().unwrap();
        let all = |f: fn(&Sample) -> Option<ByteArray>| samples.iter().map(f).collect::<Vec<_>>();
        column::<Int64Type>(&mut group, &samples.iter().map(|s| s.at_ms.map(|ms| ms * 1000 + 7)).collect::<Vec<_>>());
        column::<ByteArrayType>(&mut group, &all(|s| s.origin.as_deref().map(text)));
        column::<ByteArrayType>(&mut group, &all(|s| s.destination.as_deref().map(text)));
        column::<DoubleType>(&mut group, &samples.iter().map(|s| Some(s.cents? as f64 / 100.0)).collect::<Vec<_>>());
        column::<Int32Type>(&mut group, &samples.iter().map(|s| Some(s.bytes.cast_signed())).collect::<Vec<_>>());
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

/// The ways in which the tests write Parquet: encodings, page versions, compression.
fn parquet_properties() -> Vec<WriterPropertiesBuilder> {
    let plain = || WriterProperties::builder().set_dictionary_enabled(false);
    let zstd = Compression::ZSTD(ZstdLevel::default());
    vec![
        WriterProperties::builder(),
        plain().set_compression(Compression::SNAPPY),
        WriterProperties::builder().set_compression(zstd).set_data_page_row_count_limit(11).set_write_batch_size(11),
        plain().set_writer_version(WriterVersion::PARQUET_2_0).set_compression(Compression::LZ4_RAW),
        plain().set_column_encoding("origin".into(), Encoding::DELTA_LENGTH_BYTE_ARRAY),
    ]
}

/// A Parquet file of one column of a type that the message names.
fn one_column<T: DataType>(message_type: &str, values: &[T::T]) -> Vec<u8> {
    let message = format!("message m {{ required int64 at; {message_type}; }}");
    let schema = Arc::new(parse_message_type(&message).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    column::<Int64Type>(&mut group, &(0..values.len()).map(|i| Some(i as i64)).collect::<Vec<_>>());
    column::<T>(&mut group, &values.iter().cloned().map(Some).collect::<Vec<_>>());
    group.close().unwrap();
    writer.into_inner().unwrap()
}

#[test]
fn three_formats_give_the_same_batches() {
    let (folder, samples) = (Folder::new(), samples());
    folder.file("t.csv", as_csv(&samples));
    folder.file("t.ndjson", as_json(&samples));
    let mut names = vec!["t.csv".to_owned(), "t.ndjson".to_owned()];
    for (i, properties) in parquet_properties().into_iter().enumerate() {
        names.push(format!("t{i}.parquet"));
        folder.file(&names[i + 2], as_parquet(&samples, 20, properties));
    }
    for name in &names {
        for max_rows in [1, 3, 20, 10_000] {
            let rows = read(&folder.trace(name, mapping()), max_rows).unwrap();
            assert_eq!(rows, (expected(&samples), 0), "{name} in batches of {max_rows}");
        }
    }
}

#[test]
fn rows_with_a_missing_field_are_an_error_or_left_out() {
    let (folder, mut samples) = (Folder::new(), samples());
    samples[1].at_ms = None;
    samples[3].cents = None;
    samples[5].origin = None;
    samples[5].destination = None;
    samples[20].destination = Some(String::new());
    let mut left = expected(&samples);
    left.retain(|row| !row.1.ends_with('\u{1f}'));
    assert_eq!(left.len(), samples.len() - 4);
    folder.file("t.csv", as_csv(&samples));
    folder.file("t.json", as_json(&samples));
    folder.file("t.parquet", as_parquet(&samples, 7, WriterProperties::builder()));
    for (name, line) in [("t.csv", " (line 3)"), ("t.json", " (line 2)"), ("t.parquet", "")] {
        let mut skipping = mapping();
        skipping["missing"] = json!("skip");
        assert_eq!(read(&folder.trace(name, skipping), 10).unwrap(), (left.clone(), 4), "{name}");
        assert_eq!(
            folder.error(name, mapping()),
            format!("{name}: row 2{line}, column `at`: the field is empty; `missing = \"skip\"` leaves such rows out")
        );
    }
}

#[test]
fn nothing_but_missing_rows_is_an_error() {
    let folder = Folder::new();
    let skip = json!({ "missing": "skip" });
    assert_eq!(
        folder.csv_error("at,key\n1,\n,k\n", skip.clone()),
        "t.csv: there are no rows to replay (2 were left out because a mapped column is empty)"
    );
    let none = "there are no rows to replay (0 were left out because a mapped column is empty)";
    assert_eq!(folder.csv_error("at,key\n", json!({})), format!("t.csv: {none}"));
    assert_eq!(folder.json_error("\n \n", json!({})), format!("t.jsonl: {none}"));
    assert_eq!(
        folder.json_error("{\"at\": 1, \"kee\": 2}\n", skip),
        "t.jsonl: there is no column `key` (did you mean `kee`?); the columns are at, kee"
    );
}

#[test]
fn time_may_run_backwards_as_far_as_allowed() {
    let folder = Folder::new();
    let text = "at,key\n1000,a\n400,b\n1001,c\n401,d\n400,e\n";
    assert_eq!(
        folder.csv_error(text, json!({ "disorder": "600 ms" })),
        "t.csv: row 5 (line 6): time runs backwards by 601 ms; `disorder` allows 600 ms"
    );
    assert_eq!(
        folder.csv_error(text, json!({})),
        "t.csv: row 2 (line 3): time runs backwards by 600 ms; `disorder` allows 0 ms"
    );
    assert_eq!(read(&folder.trace("t.csv", json!({ "disorder": 601 })), 2).unwrap().0.len(), 5);
    folder.file("t.parquet", one_column::<Int64Type>("required int64 key", &[0, 5, 4, 3]));
    let (by_key, disorder) = (json!({ "time": "key", "key": "at" }), "time runs backwards by");
    assert!(folder.error("t.parquet", by_key).starts_with(&format!("t.parquet: row 3: {disorder} 1 ms;")));
}

#[test]
fn a_batch_is_reused_and_an_error_ends_the_reading() {
    let folder = Folder::new();
    folder.file("t.csv", "at,key\n1,7\n2,-08\n3,x\n4\n");
    let mut reader = TraceReader::open(&folder.trace("t.csv", json!({}))).unwrap();
    let mut batch = TraceBatch::new();
    assert_eq!(reader.read(&mut batch, 0).unwrap(), 0);
    assert_eq!(reader.read(&mut batch, 2).unwrap(), 2);
    assert_eq!(reader.read(&mut batch, 1).unwrap(), 1);
    assert_eq!((batch.key(0), batch.long_key(0)), ("x", None));
    assert!(matches!(reader.read(&mut batch, 9), Err(TraceError::Malformed { .. })));
    assert_eq!(reader.read(&mut batch, 9).unwrap(), 0);
    let mut reader = TraceReader::open(&folder.trace("t.csv", json!({}))).unwrap();
    reader.read(&mut batch, 3).unwrap();
    assert_eq!([0, 1, 2].map(|row| batch.long_key(row)), [Some(7), Some(-8), None]);
    assert_eq!(
        TraceError::key_is_not_a_number(Path::new("a.csv"), 6, "x\n").to_string(),
        "a.csv: event 7: found the key `x\\n`; allowed: an integer of 64 bits, or `keys.type = \"string\"` in the workload"
    );
}

#[test]
fn files_that_are_none_are_named() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.path().join("d.csv")).unwrap();
    assert_eq!(folder.error("none.csv", json!({})), "none.csv: there is no such file");
    assert_eq!(folder.error("d.csv", json!({})), "d.csv: this is a directory; a trace is one file");
    assert_eq!(folder.csv_error("", json!({})), "t.csv: the file is empty");
    let format = |name: &str, given| format_of(&folder.0.path().join(name), given).map_err(|e| folder.message(&e));
    assert_eq!(format("none.log", None), Err("none.log: there is no such file".to_owned()));
    assert_eq!(format("none.log", Some(TraceFormat::Csv)), Ok(TraceFormat::Csv));
    folder.file("t.log", "");
    let unknown = "t.log: its extension does not tell the format; give `format`: csv, json-lines or parquet";
    assert_eq!(format("t.log", None), Err(unknown.to_owned()));
    folder.file("t.parquet", "PAR1 but no more of it");
    assert!(folder.error("t.parquet", json!({})).starts_with("t.parquet: the Parquet file is damaged or cut off: "));
    let denied = TraceError::io(Path::new("t.csv"), io::Error::from(io::ErrorKind::PermissionDenied));
    assert_eq!((denied.is_input(), denied.to_string()), (false, "t.csv: permission denied".to_owned()));
}

#[test]
fn columns_that_are_not_there_are_suggested() {
    let folder = Folder::new();
    let message = "there is no column `dely` (did you mean `delay`?); the columns are at, key, delay";
    let value = json!({ "value": "dely" });
    assert_eq!(folder.csv_error("at,key,delay\n1,2,3\n", value.clone()), format!("t.csv: {message}"));
    assert_eq!(
        folder.json_error("{\"at\": 1, \"key\": 1, \"delay\": null}\n", value.clone()),
        format!("t.jsonl: {message}")
    );
    folder.file("t.parquet", one_column::<Int64Type>("required int64 key", &[1]));
    assert_eq!(folder.error("t.parquet", value), "t.parquet: there is no column `dely`; the columns are at, key");
    assert_eq!(folder.csv_error("at,key,key\n1,2,3\n", json!({})), "t.csv: more than one column is named `key`");
}

#[test]
fn fields_that_do_not_fit_their_role_are_shown() {
    let folder = Folder::new();
    let scaled = json!({ "value": "v", "value-scale": 10 });
    let value = "allowed: a number that is an integer of 64 bits once multiplied by 10";
    let cases = [
        ("1.25", "1.25".to_owned()),
        ("1e400", "1e400".to_owned()),
        ("9223372036854775807", "9223372036854775807".to_owned()),
        ("\u{1b}[31mred\u{202e}", "\\u{1b}[31mred\\u{202e}".to_owned()),
        (&"x".repeat(99), format!("{}…", "x".repeat(40))),
    ];
    for (text, shown) in cases {
        assert_eq!(
            folder.csv_error(format!("at,key,v\n1,k,{text}\n"), scaled.clone()),
            format!("t.csv: row 1 (line 2), column `v`: found `{shown}`; {value}")
        );
    }
    assert_eq!(
        folder.csv_error("at,key\n2001-02-29 00:00:00,k\n", json!({})),
        "t.csv: row 1 (line 2), column `at`: found `2001-02-29 00:00:00`; allowed: epoch milliseconds, or a time such \
         as 2001-01-31 23:59:59.999 or 2001-01-31T23:59:59Z"
    );
    assert_eq!(
        folder.csv_error("at,key\n12x,k\n", json!({ "time-format": "epoch-s" })),
        "t.csv: row 1 (line 2), column `at`: found `12x`; allowed: epoch seconds"
    );
    assert_eq!(
        folder.csv_error("at,key\n1,-1\n", json!({ "size": "key" })),
        "t.csv: row 1 (line 2), column `key`: found `-1`; allowed: a number of bytes from 0 to 4294967295"
    );
    assert_eq!(
        folder.json_error("{\"at\": 1, \"key\": {\"a\": 1}}", json!({})),
        "t.jsonl: row 1 (line 1), column `key`: found `{\"a\": 1}`; allowed: a text, a number, true, false or null"
    );
    folder.file("t.parquet", one_column::<DoubleType>("required double v", &[1.5, 0.25, f64::NAN]));
    let by_float = json!({ "key": "at", "value": "v", "value-scale": 10 });
    assert_eq!(folder.error("t.parquet", by_float), format!("t.parquet: row 2, column `v`: found `0.25`; {value}"));
}

#[test]
fn rows_that_are_not_what_the_format_prescribes_are_errors() {
    let folder = Folder::new();
    assert_eq!(
        folder.csv_error("at,key\n1,\"a\nb\"\n2,b,c\n", json!({})),
        "t.csv: row 2 (line 4): 3 fields where the header has 2"
    );
    let prefix = "t.jsonl: row 1 (line 1): not one JSON object a line: ";
    let cases = [
        ("[1]", "invalid type: sequence, expected an object, at column 0"),
        ("{\"at\": 1, \"key\": 2", "EOF while parsing an object, at column 18"),
        ("{\"at\": 1, \"key\": 2} 3", "trailing characters, at column 21"),
    ];
    for (text, what) in cases {
        assert_eq!(folder.json_error(text, json!({})), format!("{prefix}{what}"));
    }
}

#[test]
fn bytes_that_are_not_utf8_are_errors() {
    let folder = Folder::new();
    let key = "row 1 (line 2), column `key`: `�` is not UTF-8 text";
    assert_eq!(folder.csv_error(b"at,key\n1,\xff\n", json!({})), format!("t.csv: {key}"));
    assert_eq!(
        folder.csv_error(b"at,\xffy\n1,2\n", json!({})),
        "t.csv: row 0 (line 1), column ``: `�y` is not UTF-8 text"
    );
    assert_eq!(
        folder.json_error(b"{\"at\": 1, \"key\": \"\xff\"}\n", json!({})),
        "t.jsonl: row 1 (line 1), column ``: `�\"}` is not UTF-8 text"
    );
    let values = [ByteArray::from(b"a".to_vec()), ByteArray::from(b"\xff".to_vec())];
    folder.file("t.parquet", one_column::<ByteArrayType>("required binary key", &values));
    assert_eq!(folder.error("t.parquet", json!({})), "t.parquet: row 2, column `key`: `�` is not UTF-8 text");
}

#[test]
fn endless_lines_are_errors() {
    let folder = Folder::new();
    let long = "x\n".repeat(MAX_LINE_BYTES / 2 + 200_000);
    let message = format!("row 2 (line 3) is longer than {MAX_LINE_BYTES} bytes (is a quote left open?)");
    assert_eq!(folder.csv_error(format!("at,key\n1,a\n2,\"{long}"), json!({})), format!("t.csv: {message}"));
    let long = "x".repeat(MAX_LINE_BYTES);
    let line = format!("{{\"at\": 1, \"key\": 1}}\n\n{{\"at\": 1, \"key\": \"{long}\"}}\n");
    assert_eq!(folder.json_error(line, json!({})), format!("t.jsonl: {message}"));
}

#[test]
fn parquet_types_are_taken_for_what_they_are() {
    let folder = Folder::new();
    let times = |message_type: &str, bytes: Vec<u8>| {
        folder.file("t.parquet", bytes);
        let rows = read(&folder.trace("t.parquet", json!({ "time": "v", "key": "at" })), 9);
        rows.map(|(rows, _)| rows.iter().map(|row| row.0).collect::<Vec<_>>())
            .map_err(|error| format!("{message_type}: {error}"))
    };
    let cases = [
        ("required int64 v (TIMESTAMP(MILLIS,true))", [-1, 5_000_000], [-1, 5_000_000]),
        ("required int64 v (TIMESTAMP_MICROS)", [-1, 5_000_000], [-1, 5000]),
        ("required int64 v (TIMESTAMP(NANOS,false))", [-1, 5_000_000], [-1, 5]),
        ("required int64 v", [-1, 5_000_000], [-1, 5_000_000]),
    ];
    for (message_type, stored, ms) in cases {
        assert_eq!(
            times(message_type, one_column::<Int64Type>(message_type, &stored)),
            Ok(ms.to_vec()),
            "{message_type}"
        );
    }
    assert_eq!(
        times("", one_column::<Int32Type>("required int32 v (DATE)", &[0, 11_323])),
        Ok(vec![0, 978_307_200_000])
    );
    let mut int96 = Int96::new();
    int96.set_data(3_723_000_000_000_u64 as u32, (3_723_000_000_000_u64 >> 32) as u32, 2_440_588 + 11_323);
    assert_eq!(times("", one_column::<Int96Type>("required int96 v", &[int96])), Ok(vec![978_310_923_000]));
    let texts = [text("2001-01-01 00:00:01"), text("2001-01-01T02:00:02+02:00")];
    let expected = vec![978_307_201_000, 978_307_202_000];
    assert_eq!(times("", one_column::<ByteArrayType>("required binary v (UTF8)", &texts)), Ok(expected));

    let value = |bytes: Vec<u8>, scale: i64| {
        folder.file("t.parquet", bytes);
        let mapping = json!({ "key": "at", "value": "v", "value-scale": scale });
        let rows = read(&folder.trace("t.parquet", mapping), 9).map_err(|error| folder.message(&error))?;
        Ok::<_, String>(rows.0.iter().map(|row| row.2).collect::<Vec<_>>())
    };
    assert_eq!(value(one_column::<BoolType>("required boolean v", &[true, false]), 3), Ok(vec![3, 0]));
    assert_eq!(value(one_column::<FloatType>("required float v", &[1.1, -2.0]), 10), Ok(vec![11, -20]));
    assert_eq!(value(one_column::<DoubleType>("required double v", &[1.1, 4.35]), 100), Ok(vec![110, 435]));
    let decimal = one_column::<Int32Type>("required int32 v (DECIMAL(9,2))", &[150, -25]);
    assert_eq!(value(decimal.clone(), 100), Ok(vec![150, -25]));
    assert!(value(decimal, 10).unwrap_err().contains("row 2, column `v`: found `-0.25`"));
    let unsigned = one_column::<Int64Type>("required int64 v (INTEGER(64,false))", &[7, -1]);
    assert!(value(unsigned, 1).unwrap_err().contains("row 2, column `v`: found `18446744073709551615`"));
    assert!(value(one_column::<DoubleType>("required double v", &[1e300]), 1).is_err());
}

#[test]
fn parquet_types_that_do_not_fit_a_role_are_refused() {
    let folder = Folder::new();
    folder.file("t.parquet", one_column::<DoubleType>("required double v", &[1.0]));
    assert_eq!(
        folder.error("t.parquet", json!({ "key": "v" })),
        "t.parquet: column `v` is a floating-point number and cannot be the key; allowed: a text, an integer or a boolean"
    );
    assert!(folder.error("t.parquet", json!({ "time": "v", "key": "at" })).contains("cannot be the time"));
    assert!(folder.error("t.parquet", json!({ "size": "v", "key": "at" })).contains("cannot be the size"));
    folder.file("t.parquet", one_column::<Int32Type>("required int32 v (DATE)", &[1]));
    assert_eq!(
        folder.error("t.parquet", json!({ "time": "v", "key": "at", "time-format": "epoch-s" })),
        "t.parquet: column `v` is a date and cannot be the time; allowed: an integer or a text with this \
         `time-format`; leave `time-format` out"
    );
}

/// Reads a file that may be anything. Whether it is an error does not matter, nor what it says, but it must end.
fn survive(folder: &Folder, bytes: &[u8]) -> bool {
    folder.file("t.parquet", bytes);
    let trace = folder.trace("t.parquet", mapping());
    let _ = columns(trace.path(), None);
    read(&trace, 1000).is_ok()
}

#[test]
fn a_parquet_file_cut_off_anywhere_is_an_error() {
    let (folder, samples) = (Folder::new(), samples());
    for properties in parquet_properties() {
        let bytes = as_parquet(&samples, 40, properties);
        for end in 0..bytes.len() {
            assert!(!survive(&folder, &bytes[..end]), "cut at {end} of {}", bytes.len());
        }
    }
}

#[test]
fn a_damaged_parquet_file_never_panics() {
    let (folder, samples) = (Folder::new(), samples());
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for properties in parquet_properties() {
        let bytes = as_parquet(&samples, 40, properties);
        for _ in 0..1500 {
            let mut damaged = bytes.clone();
            for _ in 0..=random(3) {
                damaged[random(bytes.len())] = random(256) as u8;
            }
            survive(&folder, &damaged);
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let folder = Folder::new();
        for name in ["t.csv", "t.json", "t.parquet"] {
            let header: &[u8] = if name == "t.csv" { b"at,key\n" } else { b"" };
            folder.file(name, [header, &bytes].concat());
            let trace = folder.trace(name, json!({}));
            let _ = read(&trace, 10);
            let _ = columns(trace.path(), None).map(|list| list.render());
        }
    }
}
