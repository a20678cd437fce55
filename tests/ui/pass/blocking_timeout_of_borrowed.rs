//! A call on another thread owns its arguments.

use decor::prelude::*;
use std::{sync::Arc, time::Duration};

fn greet(name: &str) -> String {
    format!("hello {name}")
}

pub fn main() {
    let name: Arc<str> = "Ada".into();
    let greet = (|name: Arc<str>| greet(&name)).blocking().fallible().timeout(Duration::from_secs(1));
    assert_eq!(greet.call(name).unwrap(), "hello Ada");
}
