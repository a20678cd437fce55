//! A call on another thread borrows an argument.

use decor::prelude::*;
use std::time::Duration;

fn greet(name: &str) -> String {
    format!("hello {name}")
}

fn main() {
    let name = "Ada".to_owned();
    let _ = greet.blocking().fallible().timeout(Duration::from_secs(1)).call(&name);
}
