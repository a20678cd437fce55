//! The memo: the values that it keeps, for how long, and the loads that calls share.

mod basics;
mod failures;
mod flights;
mod freshness;
mod invalidate;
mod invalidating;
mod keys;
mod model;
mod outcomes;
mod panicking_keys;
mod room;
mod sweeps;
