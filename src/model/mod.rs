//! Models of what this process cannot measure. Each says what it was fitted to and how far it is off.

pub mod gc;
pub mod miss_ratio;
