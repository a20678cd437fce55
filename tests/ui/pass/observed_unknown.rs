//! A handle of the user implements `Observe`.

use decor::metrics::{Metric, Observe, Observer, Report};

#[derive(Clone)]
struct Queue;

impl Observe for Queue {
    const KIND: &'static str = "queue";

    fn report(&self, report: &mut Report<'_>) {
        report.gauge(Metric::count("app.queue.length", "Messages that wait."), &[], 0.0);
    }
}

pub fn main() {
    Observer::new().observe("orders", &Queue).collect();
}
