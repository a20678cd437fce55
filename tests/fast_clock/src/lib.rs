//! The tests of the feature `fast-clock` are in `tests/`.
