//! The command line: seven optional settings.

use crate::client::{Limits, Rate};
use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

pub(crate) const HELP: &str = "\
Sends prompts to a chat-completions API that throttles, fails and hangs, and gets an answer to each.
Then the built-in server dies for two seconds.

Usage: cargo run --example llm_client -- [--prompts FILE] [--no-memo] [--no-limiter]
       cargo run --example llm_client -- [--prompts FILE] [--no-memo] --url URL [--model NAME]
                                         [--requests-per-minute N] [--tokens-per-minute N]

  --prompts FILE           prompts, one per line; blank lines and lines that begin with # are skipped
                           (default: examples/data/prompts.txt)
  --no-memo                sends a request for each prompt, repeated prompts included
  --no-limiter             sends requests as fast as possible, so that the server throttles them
  --url URL                another server, http:// only: POST URL/v1/chat/completions
                           (default: the built-in server, which has limits of its own)
  --model NAME             the model of that server (default: \"default\")
  --requests-per-minute N  the maximum number of requests to that server in any minute (default: 60)
  --tokens-per-minute N    the maximum number of tokens, of prompts and answers together (default: 90000)
  --help                   this text

RUST_LOG sets what is logged (default: \"info\"); \"info,decor=debug\" shows each attempt.
Exits with 0 if every prompt has a correct answer, with 1 if not, with 2 if a flag or a file cannot be used.
";

/// Limits of a small account with most providers.
const REQUESTS_PER_MINUTE: u32 = 60;
const TOKENS_PER_MINUTE: u32 = 90_000;

pub(crate) enum Command {
    Help,
    Run(Options),
}

pub(crate) struct Options {
    pub(crate) prompts: Vec<Arc<str>>,
    /// Another server to ask; `None` for the built-in one.
    pub(crate) server: Option<OtherServer>,
    pub(crate) no_memo: bool,
    pub(crate) no_limiter: bool,
}

pub(crate) struct OtherServer {
    pub(crate) url: String,
    pub(crate) model: String,
    pub(crate) rate: Rate,
}

pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut file = OsString::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/prompts.txt"));
    let (mut url, mut model, mut requests, mut tokens) = (None, None, None, None);
    let (mut no_memo, mut no_limiter) = (false, false);
    let mut args = args.into_iter();
    while let Some(flag) = args.next() {
        let mut value = |what| {
            let value = args.next().filter(|value| !value.to_string_lossy().starts_with("--"));
            value.ok_or_else(|| format!("`{}` needs a value: {what}", flag.to_string_lossy()))
        };
        match flag.to_str() {
            Some("--prompts") => file = value("a text file with one prompt per line")?,
            Some("--url") => url = Some(http_url(&value("the http:// address of a server")?)?),
            Some("--model") => model = Some(value("the name of a model")?.to_string_lossy().into_owned()),
            Some("--requests-per-minute") => requests = Some(limit(&flag, &value("a whole number")?)?),
            Some("--tokens-per-minute") => tokens = Some(limit(&flag, &value("a whole number")?)?),
            Some("--no-memo") => no_memo = true,
            Some("--no-limiter") => no_limiter = true,
            Some("--help" | "-h") => return Ok(Command::Help),
            _ => {
                let flag = flag.to_string_lossy();
                return Err(format!(
                    "unknown flag `{flag}`; there are --prompts FILE, --no-memo, --no-limiter, --url URL, \
                     --model NAME, --requests-per-minute N, --tokens-per-minute N, --help"
                ));
            }
        }
    }
    let prompts = read_prompts(file.as_ref())?;
    let Some(url) = url else {
        let (model, requests, tokens) = (model.is_some(), requests.is_some(), tokens.is_some());
        let for_another = [("--model", model), ("--requests-per-minute", requests), ("--tokens-per-minute", tokens)];
        return match for_another.iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(format!("`{flag}` is for another server, so it needs `--url URL` as well")),
            None => Ok(Command::Run(Options { prompts, server: None, no_memo, no_limiter })),
        };
    };
    if no_limiter {
        return Err("`--no-limiter` is for the built-in server, and cannot be combined with `--url`".into());
    }
    let rate = Rate {
        requests: requests.unwrap_or(REQUESTS_PER_MINUTE),
        tokens: tokens.unwrap_or(TOKENS_PER_MINUTE),
        period: Duration::from_secs(60),
    };
    let needed = prompts.iter().map(|prompt| Limits::FOR_A_REAL_MODEL.tokens_reserved(prompt)).max().unwrap_or(0);
    if needed > rate.tokens {
        let reason = "the longest prompt and its answer may use that many";
        return Err(format!("`--tokens-per-minute {}`: allowed is {needed} or more, because {reason}", rate.tokens));
    }
    let model = model.unwrap_or_else(|| "default".into());
    let server = Some(OtherServer { url, model, rate });
    Ok(Command::Run(Options { prompts, server, no_memo, no_limiter }))
}

fn limit(flag: &OsStr, value: &OsStr) -> Result<u32, String> {
    let [flag, value] = [flag, value].map(OsStr::to_string_lossy);
    let number = value.parse().ok().filter(|n| *n > 0);
    number.ok_or_else(|| format!("`{flag} {value}`: allowed is a whole number from 1 to {}", u32::MAX))
}

fn http_url(value: &OsString) -> Result<String, String> {
    let text = value.to_string_lossy();
    let refused = |why: &str| format!("`--url {text}`: {why}; allowed is http://host:port, with a path or without");
    let url = reqwest::Url::parse(&text).map_err(|error| refused(&error.to_string()))?;
    match url.scheme() {
        "http" if url.query().or(url.fragment()).is_none() => Ok(text.trim_end_matches('/').into()),
        "http" => Err(refused("the API's path is appended, so the URL must end with host, port or path")),
        "https" => Err(refused("this program is built without TLS")),
        _ => Err(refused("the scheme is not http")),
    }
}

fn read_prompts(file: &Path) -> Result<Vec<Arc<str>>, String> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("`--prompts {shown}` cannot be read: {error}"))?;
    let lines = text.lines().map(str::trim);
    let prompts: Vec<_> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(Arc::from).collect();
    if prompts.is_empty() {
        let expected = "expected is one per line; blank lines and lines that begin with # are skipped";
        return Err(format!("`--prompts {shown}` has no prompt: {expected}"));
    }
    Ok(prompts)
}
