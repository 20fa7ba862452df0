//! What checkpoints of every backend share.

pub mod storage;
