//! A call that another thread makes cannot use what stays on this one.

use decor::prelude::*;
use std::{rc::Rc, time::Duration};

fn main() {
    let greeting = Rc::new("hello".to_owned());
    let greet = move |name: String| Ok::<String, decor::Error>(format!("{greeting} {name}"));
    let _ = greet.blocking().timeout(Duration::from_secs(1)).call("Ada".into());
}
