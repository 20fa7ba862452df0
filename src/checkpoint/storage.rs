//! TEMPORARY local directory storage.
#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::unwrap_used)]
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored { pub bytes: u64, pub checksum: u64 }
#[derive(Debug, Clone, Copy)]
pub struct StorageProfile { pub bandwidth_bytes_per_s: Option<u64>, pub latency: Duration }
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StorageError(String);
impl StorageError { pub fn is_input(&self) -> bool { true } }
#[derive(Clone, Debug)]
pub struct CheckpointStorage { url: String }
pub struct StorageWriter { file: std::fs::File, hash: xxhash_rust::xxh3::Xxh3, bytes: u64 }
impl Write for StorageWriter {
    fn write(&mut self, b: &[u8]) -> std::io::Result<usize> { self.file.write_all(b)?; self.hash.update(b); self.bytes += b.len() as u64; Ok(b.len()) }
    fn flush(&mut self) -> std::io::Result<()> { Ok(()) }
}
impl StorageWriter { pub fn finish(self) -> Result<Stored, StorageError> { Ok(Stored { bytes: self.bytes, checksum: self.hash.digest() }) } }
pub struct StorageLock;
pub struct Listed { pub path: String, pub bytes: u64 }
pub struct Linked;
fn e(p: &Path) -> impl Fn(std::io::Error) -> StorageError + '_ { move |x| StorageError(format!("{}: {x}", p.display())) }
impl CheckpointStorage {
    pub fn open(url: &str, _: Option<StorageProfile>) -> Result<Self, StorageError> { Ok(Self { url: url.into() }) }
    pub fn url(&self) -> &str { &self.url }
    pub fn child(&self, f: &str) -> Self { Self { url: format!("{}/{f}", self.url) } }
    fn p(&self, path: &str) -> PathBuf { Path::new(&self.url).join(path) }
    pub fn upload(&self, path: &str, source: &Path) -> Result<Stored, StorageError> { self.put(path, &std::fs::read(source).map_err(e(source))?) }
    pub fn put(&self, path: &str, b: &[u8]) -> Result<Stored, StorageError> { let mut w = self.writer(path)?; w.write_all(b).unwrap(); w.finish() }
    pub fn writer(&self, path: &str) -> Result<StorageWriter, StorageError> {
        let p = self.p(path); std::fs::create_dir_all(p.parent().unwrap()).map_err(e(&p))?;
        Ok(StorageWriter { file: std::fs::File::create(&p).map_err(e(&p))?, hash: Default::default(), bytes: 0 })
    }
    pub fn read(&self, path: &str) -> Result<Vec<u8>, StorageError> { let p = self.p(path); std::fs::read(&p).map_err(e(&p)) }
    pub fn download(&self, path: &str, target: &Path, _: &Stored) -> Result<(), StorageError> { let p = self.p(path); std::fs::copy(&p, target).map(drop).map_err(e(&p)) }
    pub fn link(&self, path: &str, target: &Path, _: &Stored) -> Result<Linked, StorageError> { let p = self.p(path); std::fs::hard_link(&p, target).map_err(e(&p))?; Ok(Linked) }
    pub fn list(&self, folder: &str) -> Result<Vec<Listed>, StorageError> {
        let mut all = vec![];
        for f in std::fs::read_dir(self.p(folder)).map_err(e(&self.p(folder)))?.flatten() { all.push(Listed { path: f.file_name().to_string_lossy().into(), bytes: f.metadata().unwrap().len() }); }
        Ok(all)
    }
    pub fn delete(&self, path: &str) -> Result<(), StorageError> { let p = self.p(path); std::fs::remove_file(&p).map_err(e(&p)) }
    pub fn delete_folder(&self) -> Result<(), StorageError> { let p = self.p(""); std::fs::remove_dir_all(&p).map_err(e(&p)) }
    pub fn lock(&self, _: &str) -> Result<StorageLock, StorageError> { Ok(StorageLock) }
    pub fn failed(&self, path: &str, x: std::io::Error) -> StorageError { StorageError(format!("{path}: {x}")) }
}
