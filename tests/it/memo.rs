//! The memo: what is kept, for how long, and how calls share a load.

mod basics;
mod failures;
mod flights;
mod freshness;
mod keys;
mod model;
mod outcomes;
mod panicking_keys;
mod room;
mod sweeps;
