//! The command line: three settings, all of them optional.

use std::{ffi::OsString, fs, path::Path, sync::Arc};

pub(crate) const HELP: &str = "\
Sends prompts to a chat-completions API that throttles, fails and hangs, and gets every one of them answered.

Usage: cargo run --example llm_client -- [--prompts FILE] [--url URL [--model NAME]]

  --prompts FILE  prompts, one per line; blank lines and lines that begin with # are skipped
                  (examples/data/prompts.txt if left out)
  --url URL       another server to ask, http:// only: POST URL/v1/chat/completions
                  (a misbehaving server of this program's own if left out)
  --model NAME    the model to ask that server for (\"default\" if left out)
  --help          this text

RUST_LOG says what is logged: \"info\" if left out, \"info,decor=debug\" for each attempt.
Exits with 0 if every prompt was answered rightly, with 1 if not, with 2 if a flag or a file cannot be used.
";

pub(crate) enum Command {
    Help,
    Run(Options),
}

pub(crate) struct Options {
    pub(crate) prompts: Vec<Arc<str>>,
    pub(crate) url: Option<String>,
    pub(crate) model: String,
}

pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut file = OsString::from(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/prompts.txt"));
    let (mut url, mut model) = (None, None);
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
            Some("--help" | "-h") => return Ok(Command::Help),
            _ => {
                let flag = flag.to_string_lossy();
                return Err(format!(
                    "unknown flag `{flag}`; there are --prompts FILE, --url URL, --model NAME, --help"
                ));
            }
        }
    }
    let prompts = read_prompts(file.as_ref())?;
    let model = model.unwrap_or_else(|| "default".into());
    Ok(Command::Run(Options { prompts, url, model }))
}

fn http_url(value: &OsString) -> Result<String, String> {
    let text = value.to_string_lossy();
    let refused = |why: &str| format!("`--url {text}`: {why}; allowed is http://host:port, with a path or without");
    let url = reqwest::Url::parse(&text).map_err(|error| refused(&error.to_string()))?;
    match url.scheme() {
        "http" if url.query().or(url.fragment()).is_none() => Ok(text.trim_end_matches('/').into()),
        "http" => Err(refused("the API's path is put behind it, so it must end with host, port or path")),
        "https" => Err(refused("this program is built without TLS")),
        _ => Err(refused("it does not begin with http://")),
    }
}

fn read_prompts(file: &Path) -> Result<Vec<Arc<str>>, String> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| format!("`--prompts {shown}` cannot be read: {error}"))?;
    let lines = text.lines().map(str::trim);
    let prompts: Vec<_> = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(Arc::from).collect();
    if prompts.is_empty() {
        let allowed = "one per line is expected, blank lines and lines that begin with # do not count";
        return Err(format!("`--prompts {shown}` holds no prompt: {allowed}"));
    }
    Ok(prompts)
}
