//! An observer does not know this handle.

use decor::metrics::Observer;

#[derive(Clone)]
struct Queue;

fn main() {
    let _ = Observer::new().observe("orders", &Queue);
}
