//! Errors of other crates, which cannot carry a `decor::Error`. `.lifted()` puts either error into
//! a `Failure`, and `.map_err(..)` ends the chain with a type that does not mention decor.
//!
//! ```text
//! cargo run --example foreign_error
//! ```
//!
//! The last part has a memo over `reqwest::Error`, which is not `Clone`.

use decor::{Failure, prelude::*};
use futures::future::join_all;
use std::{future::pending, num::ParseIntError, time::Duration};
use tokio::{
    net::TcpListener,
    sync::oneshot::{self, error::RecvError},
    time::Instant,
};

const LIMIT: Duration = Duration::from_millis(30);

/// Asks a registry that answers in text.
async fn look_up_port(service: &str) -> Result<u16, ParseIntError> {
    match service {
        "web" => "8080".parse(),
        "mail" => "twenty-five".parse(),
        _ => pending().await,
    }
}

/// The public error of this module, without decor's types.
#[derive(Debug, thiserror::Error)]
enum PortError {
    #[error("the registry has no number: {0}")]
    NoNumber(#[from] ParseIntError),
    #[error("the registry does not answer")]
    NoAnswer,
}

fn without_decor(failure: Failure<ParseIntError>) -> PortError {
    match failure {
        Failure::Call(error) => error.into(),
        Failure::Policy(_) => PortError::NoAnswer,
    }
}

/// If the registry hangs, every caller has its error after 110 ms: three attempts of 30 ms, with
/// two waits of 10 ms.
async fn a_function_with_an_error_of_its_own() {
    println!("a function with a public error of its own");
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
}

async fn a_future() {
    println!("a future");
    let (answering, answered) = oneshot::channel();
    let (silent, unanswered) = oneshot::channel();
    let (_, abandoned) = oneshot::channel();
    answering.send("yes").expect("the receiver exists");
    for receiver in [answered, unanswered, abandoned] {
        let result: Result<&str, Failure<RecvError>> = receiver.lifted().timeout(LIMIT).await;
        match result {
            Ok(answer) => println!("  Ok              {answer}"),
            Err(Failure::Call(error)) => println!("  Failure::Call   {error}"),
            Err(Failure::Policy(error)) => println!("  Failure::Policy {error}"),
        }
    }
    drop(silent); // until here the channel was open
}

async fn get(http: reqwest::Client, url: String) -> reqwest::Result<String> {
    http.get(url).send().await?.error_for_status()?.text().await
}

/// If the server hangs, every caller has its error after 300 ms. The call that loads gets the
/// `reqwest::Error` itself, and the calls that wait for that load get its text.
async fn a_memo_over_an_error_that_is_not_clone() -> Result<(), Box<dyn std::error::Error>> {
    println!("a memo over `reqwest::Error`, with twenty callers at once");
    // A proxy of the environment must not get requests for loopback addresses.
    let http = reqwest::Client::builder().no_proxy().build()?;
    let pages: Memo<String, String> = Memo::ttl(Duration::from_secs(300));
    let page = decor::with_context(http, get).lifted().timeout(10 * LIMIT).memoized(&pages).timeout(20 * LIMIT);

    // The system accepts connections to the first server, which never reads from them. Nothing
    // listens at the address of the second.
    let hanging = TcpListener::bind("127.0.0.1:0").await?;
    let refusing = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    for (server, address) in [("hangs", hanging.local_addr()?), ("refuses", refusing)] {
        let begun = Instant::now();
        let answers = join_all((0..20).map(|_| page.call(format!("http://{address}/")))).await;
        let longest = begun.elapsed();
        let (mut own, mut told, mut late) = (0, 0, 0);
        for failure in answers.into_iter().filter_map(Result::err) {
            match failure {
                Failure::Call(_) => own += 1,
                Failure::Policy(decor::Error::LoadFailed { .. }) => told += 1,
                Failure::Policy(_) => late += 1,
            }
        }
        println!("  {server:<8} {own} reqwest::Error, {told} LoadFailed, {late} TimedOut, after {longest:.1?}");
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    a_function_with_an_error_of_its_own().await;
    a_future().await;
    a_memo_over_an_error_that_is_not_clone().await
}
