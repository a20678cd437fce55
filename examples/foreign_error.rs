//! An error type that is not yours cannot be taught to carry `decor::Error`. `.lifted()` puts either into a `Failure`,
//! and `.map_err(..)` closes the chain with a type that does not mention decor.
//!
//! ```text
//! cargo run --example foreign_error
//! ```

use decor::{Failure, prelude::*};
use std::{future::pending, num::ParseIntError, time::Duration};
use tokio::sync::oneshot::{self, error::RecvError};

const LIMIT: Duration = Duration::from_millis(30);

/// Asks a registry that answers in text, if it answers.
async fn look_up_port(service: &str) -> Result<u16, ParseIntError> {
    match service {
        "web" => "8080".parse(),
        "mail" => "twenty-five".parse(),
        _ => pending().await,
    }
}

/// What the users of this module see: neither decor nor how it was done.
#[derive(Debug, thiserror::Error)]
enum PortError {
    #[error("the registry holds nonsense: {0}")]
    Nonsense(#[from] ParseIntError),
    #[error("the registry does not answer")]
    NoAnswer,
}

fn without_decor(failure: Failure<ParseIntError>) -> PortError {
    match failure {
        Failure::Call(error) => error.into(),
        Failure::Policy(_) => PortError::NoAnswer,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("a function, with a public error of its own at the end");
    let look_up_port = look_up_port
        .lifted()
        .timeout(LIMIT)
        .retry_with(RetryPolicy::fixed(Duration::from_millis(10)))
        .when(|failure: &Failure<ParseIntError>| failure.policy().is_some())
        .map_err(without_decor);
    for service in ["web", "mail", "chat"] {
        match look_up_port.call(service).await {
            Ok(port) => println!("  {service:<5} port {port}"),
            Err(error) => println!("  {service:<5} {error}"),
        }
    }

    println!("a future");
    let (answering, answered) = oneshot::channel();
    let (hesitating, hesitant) = oneshot::channel();
    let (_, abandoned) = oneshot::channel();
    answering.send("yes").expect("the receiver is still there");
    for receiver in [answered, hesitant, abandoned] {
        let result: Result<&str, Failure<RecvError>> = receiver.lifted().timeout(LIMIT).await;
        match result {
            Ok(answer) => println!("  Ok              {answer}"),
            Err(Failure::Call(error)) => println!("  Failure::Call   {error}"),
            Err(Failure::Policy(error)) => println!("  Failure::Policy {error}"),
        }
    }
    drop(hesitating); // until here it might still have answered
}
