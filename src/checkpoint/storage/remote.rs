//! Object stores.

/// The size of a part of a large file, bytes; one of up to this size is a single request.
pub(super) const PART: usize = 8 * 1024 * 1024;
