//! Tests of the features that are off by default. A binary of its own, because it is built faster
//! than `it`.

mod serde;
