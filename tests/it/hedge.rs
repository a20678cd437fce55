//! `hedged`: another call beside a call that takes too long.

mod budget;
mod chains;
mod percentile;
mod races;
mod script;
mod settings;
