//! A load generator. Proves each limit over real sockets, and shows a table.

use crate::{Options, Server};
use anyhow::{Context, bail, ensure};
use futures::future::{join_all, try_join_all};
use reqwest::{Client, Response};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    env,
    fmt::{self, Display},
    fs,
    path::Path,
    process,
    time::Duration,
};

/// The limits of `settings.toml`, with hours in place of minutes, so that a slow machine changes
/// nothing.
const PER_KEY: usize = 10;
const EXPORTS: usize = 4;
const FAILURES: usize = 3;

/// Number of responses with each status.
type Counts = BTreeMap<u16, usize>;

/// A claim and what was seen.
struct Row {
    claim: String,
    expected: Counts,
    seen: Counts,
    /// Another fault; `None` if there is none.
    fault: Option<String>,
}

impl Row {
    fn new<const N: usize>(claim: impl Into<String>, expected: [(u16, usize); N], seen: Counts) -> Self {
        let expected = expected.into_iter().filter(|(_, count)| *count > 0).collect();
        Self { claim: claim.into(), expected, seen, fault: None }
    }

    fn and(mut self, claim: impl Display, is_true: bool) -> Self {
        if !is_true {
            self.fault.get_or_insert_with(|| format!("not true: {claim}"));
        }
        self
    }

    fn held(&self) -> bool {
        self.seen == self.expected && self.fault.is_none()
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { claim, expected, seen, fault } = self;
        let held = if self.held() { "held" } else { "FAILED" };
        write!(f, "{claim:<62}  {:<20}  {:<20}  {held}", shown(expected), shown(seen))?;
        fault.as_ref().map_or(Ok(()), |fault| write!(f, " ({fault})"))
    }
}

fn shown(counts: &Counts) -> String {
    counts.iter().map(|(status, count)| format!("{count} x {status}")).collect::<Vec<_>>().join(", ")
}

fn counts(responses: &[Response]) -> Counts {
    let mut counts = Counts::new();
    for response in responses {
        *counts.entry(response.status().as_u16()).or_default() += 1;
    }
    counts
}

fn retry_after(response: &Response) -> Option<u64> {
    response.headers().get("retry-after")?.to_str().ok()?.parse().ok()
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let text = fs::read_to_string(&options.settings)?.replace(" per 1m\"", " per 1h\"");
    let settings = env::temp_dir().join(format!("axum_server-{}.toml", process::id()));
    fs::write(&settings, &text)?;
    let server = Server::start(&Options { settings: settings.clone(), ..options }).await?;
    let rows = Load { server, text }.all(&settings).await;
    fs::remove_file(&settings)?;

    println!("{:<62}  {:<20}  {:<20}", "claim", "expected", "seen");
    let rows = rows?;
    rows.iter().for_each(|row| println!("{row}"));
    let failed = rows.iter().filter(|row| !row.held()).count();
    ensure!(failed == 0, "{failed} of {} limits did not hold", rows.len());
    println!("\nall {} limits held", rows.len());
    Ok(())
}

struct Load {
    server: Server,
    /// The settings at the start.
    text: String,
}

impl Load {
    async fn all(mut self, settings: &Path) -> anyhow::Result<Vec<Row>> {
        let mut rows = vec![self.limits_by_key().await?, self.exports().await?, self.memo().await?];
        rows.extend(self.breaker().await?);
        #[cfg(unix)]
        rows.extend(self.reload(settings).await?);
        rows.push(self.stats().await?);
        Ok(rows)
    }

    async fn get(&self, client: &Client, key: &str, path: &str) -> anyhow::Result<Response> {
        Ok(client.get(format!("{}{path}", self.server.url)).header("x-api-key", key).send().await?)
    }

    /// Requests of one key, at the same time.
    async fn at_once(&self, key: &str, requests: usize, path: &str) -> anyhow::Result<Vec<Response>> {
        let client = Client::new(); // each key has connections of its own
        try_join_all((0..requests).map(|_| self.get(&client, key, path))).await
    }

    /// Requests of one key, one after the other.
    async fn in_turn(&self, key: &str, requests: usize, path: &str) -> anyhow::Result<Vec<Response>> {
        let client = Client::new();
        let mut responses = Vec::new();
        for _ in 0..requests {
            responses.push(self.get(&client, key, path).await?);
        }
        Ok(responses)
    }

    async fn limits_by_key(&self) -> anyhow::Result<Row> {
        const KEYS: [&str; 10] = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal", "ida", "jim"];
        const REQUESTS: usize = 30;
        let by_key = join_all(KEYS.map(|key| self.at_once(key, REQUESTS, "/items/7"))).await;
        let by_key = by_key.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let expected = Counts::from([(200, PER_KEY), (429, REQUESTS - PER_KEY)]);
        let is_exact = by_key.iter().all(|responses| counts(responses) == expected);
        let all = by_key.into_iter().flatten().collect::<Vec<_>>();
        let refused = all.iter().filter(|response| response.status() == 429);
        let says_when = refused.map(retry_after).all(|wait| wait.is_some_and(|wait| (1..=3_600).contains(&wait)));
        let total = [(200, KEYS.len() * PER_KEY), (429, KEYS.len() * (REQUESTS - PER_KEY))];
        let row = Row::new("10 requests per hour for each of 10 keys, 30 sent at once", total, counts(&all));
        Ok(row.and("each key has its 10", is_exact).and("each 429 has `Retry-After`", says_when))
    }

    async fn exports(&self) -> anyhow::Result<Row> {
        let more = PER_KEY - EXPORTS;
        let mut exports = self.at_once("exports", EXPORTS, "/export").await?; // the bodies are not read
        exports.extend(self.at_once("exports", more, "/export").await?);
        let mut seen = counts(&exports);
        for export in exports {
            export.bytes().await?;
        }
        let again = self.at_once("more exports", EXPORTS, "/export").await?;
        *seen.entry(200).or_default() += again.iter().filter(|response| response.status() == 200).count();
        Ok(Row::new("4 exports at once, until the end of their bodies", [(200, 2 * EXPORTS), (503, more)], seen))
    }

    async fn memo(&self) -> anyhow::Result<Row> {
        let before = self.server.store.loads();
        let responses = self.at_once("memo", PER_KEY, "/items/77").await?;
        let loads = self.server.store.loads() - before;
        let row = Row::new("1 load of the store for 10 requests", [(200, PER_KEY)], counts(&responses));
        Ok(row.and(format_args!("1 load, and not {loads}"), loads == 1))
    }

    async fn breaker(&self) -> anyhow::Result<[Row; 2]> {
        let Server { upstream, .. } = &self.server;
        upstream.set_failing(true);
        let responses = self.in_turn("weather", PER_KEY - 1, "/weather/paris").await?;
        let expected = [(502, FAILURES), (503, PER_KEY - 1 - FAILURES)];
        let spared = Row::new("the upstream gets no request after 3 failures", expected, counts(&responses))
            .and("3 requests", upstream.requests() == 3);

        upstream.set_failing(false);
        let wait = responses.last().and_then(retry_after).context("a 503 without `Retry-After`")?;
        tokio::time::sleep(Duration::from_secs(wait)).await;
        let healed = self.in_turn("weather", 1, "/weather/paris").await?;
        Ok([spared, Row::new("after `Retry-After`, the upstream is asked again", [(200, 1)], counts(&healed))])
    }

    #[cfg(unix)]
    async fn reload(&mut self, settings: &Path) -> anyhow::Result<[Row; 2]> {
        let wider = self.text.replace("\"10 per 1h\"", "\"15 per 1h\"");
        if let Some(error) = self.reload_with(settings, &wider).await? {
            bail!("{error}");
        }
        let more = counts(&self.at_once("ada", PER_KEY, "/items/7").await?);
        let kept = Row::new("SIGHUP with 15 per hour: 5 more for a key that has used 10", [(200, 5), (429, 5)], more);

        let bad = self.text.replace("\"10 per 1h\"", "\"0 per 1h\"");
        let error = self.reload_with(settings, &bad).await?.unwrap_or_default();
        let more = counts(&self.at_once("kim", 20, "/items/7").await?);
        let refused = Row::new("SIGHUP with 0 per hour: nothing changes", [(200, 15), (429, 5)], more)
            .and(format_args!("the error names `limit`, and does not say {error:?}"), error.contains("`limit`"));
        Ok([kept, refused])
    }

    /// Writes the file, sends the signal, and waits for the reload. Returns its error.
    #[cfg(unix)]
    async fn reload_with(&mut self, settings: &Path, text: &str) -> anyhow::Result<Option<String>> {
        fs::write(settings, text)?;
        let sent = process::Command::new("kill").args(["-HUP", &process::id().to_string()]).status()?;
        ensure!(sent.success(), "the signal was not sent");
        let reloads = &mut self.server.reloads;
        tokio::time::timeout(Duration::from_secs(30), reloads.changed()).await.context("no reload")??;
        Ok(reloads.borrow_and_update().1.clone())
    }

    /// The server's own counts are those that were seen from outside.
    async fn stats(&self) -> anyhow::Result<Row> {
        let response = reqwest::get(format!("{}/stats", self.server.url)).await?;
        let seen = Counts::from([(response.status().as_u16(), 1)]);
        let stats: Value = response.json().await?;
        let row = Row::new("`/stats` counts the same", [(200, 1)], seen);
        let count = |path: &str| stats.pointer(path).and_then(Value::as_u64);
        let exports = count("/exports/refused") == Some((PER_KEY - EXPORTS) as u64);
        let store = count("/items/loads") == Some(self.server.store.loads().into());
        Ok(row.and("refused exports", exports).and("loads of the store", store))
    }
}
