//! A call on another thread captures a value that is not `Send`.

use decor::prelude::*;
use std::{rc::Rc, time::Duration};

fn main() {
    let greeting = Rc::new("hello".to_owned());
    let greet = move |name: String| Ok::<String, decor::Error>(format!("{greeting} {name}"));
    let _ = greet.blocking().timeout(Duration::from_secs(1)).call("Ada".into());
}
