//! A call on another thread captures values that are `Send`.

use decor::prelude::*;
use std::{sync::Arc, time::Duration};

pub fn main() {
    let greeting = Arc::new("hello".to_owned());
    let greet = move |name: String| Ok::<String, decor::Error>(format!("{greeting} {name}"));
    let greet = greet.blocking().timeout(Duration::from_secs(1));
    assert_eq!(greet.call("Ada".into()).unwrap(), "hello Ada");
}
