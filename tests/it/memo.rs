//! The memo: what is kept, for how long, and how calls share a load.

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
