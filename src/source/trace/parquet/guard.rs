//! Calls into the decoder. It may panic on bytes that no writer wrote: every call is guarded, and a panic becomes the
//! error that the file is damaged.

use std::cell::Cell;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Once;

use parquet::errors::ParquetError;

use crate::source::trace::error::{TraceError, file_name, printable};

thread_local! {
    /// Whether this thread is in the decoder.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Set once the hook leaves the decoder's panics out.
static QUIET: Once = Once::new();

/// Runs a part of the decoder; an error or a panic of it is an error of the file. The panic, being reported as one, is
/// not also printed: the hook that prints panics is told to leave out those of the decoder.
pub(super) fn guarded<T>(path: &Path, decode: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, TraceError> {
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
        Ok(Err(error)) => {
            let text = error.to_string();
            Err(corrupt(text.strip_prefix("Parquet error: ").unwrap_or(&text)))
        }
        Err(payload) => {
            let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
            Err(corrupt(&format!("the decoder gave up: {}", text.unwrap_or("no reason given"))))
        }
    }
}
