//! Asks a Prometheus that scrapes the service: the queries of the dashboard, the alert rules, the
//! counters and the gauges.

use anyhow::{Context, bail, ensure};
use reqwest::Client;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

const DASHBOARD: &str = include_str!("grafana.json");
/// Time after which an answer that has not come is a fault.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) async fn run(prometheus: &str, service: &str) -> anyhow::Result<()> {
    let ask = Ask { client: Client::new(), prometheus, service };
    let queries = queries()?;
    for query in &queries {
        ask.until(query, async || Ok(!ask.query(query).await?.is_empty())).await?;
    }
    println!("{} queries of the dashboard have data", queries.len());

    let rules = ask.rules().await?;
    println!("{rules} alert rules are evaluated");

    ask.until("the end of the load", async || ask.stats().await.map(|stats| stats["under_load"] == false)).await?;
    let gauges = ask.until_gauges_are_equal().await?;
    println!("{gauges} gauges are the handles' own values");

    let counters = ask.counters_that_never_fell().await?;
    println!("{counters} counters have never fallen");
    Ok(())
}

/// The queries of all panels, with values in place of the dashboard's variables.
fn queries() -> anyhow::Result<BTreeSet<String>> {
    let dashboard: Value = serde_json::from_str(DASHBOARD)?;
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries = targets.map(|target| {
        let query = target["expr"].as_str().context("a target without a query")?;
        Ok(query.replace("$__rate_interval", "1m").replace("$instance", ".*"))
    });
    queries.collect()
}

struct Ask<'a> {
    client: Client,
    prometheus: &'a str,
    service: &'a str,
}

impl Ask<'_> {
    async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/{path}", self.prometheus), query)?;
        let answer: Value = self.client.get(url).send().await?.json().await?;
        ensure!(answer["status"] == "success", "{path} {query:?}: {answer}");
        Ok(answer["data"].clone())
    }

    /// The values of an instant query, with the labels of each.
    async fn query(&self, query: &str) -> anyhow::Result<Vec<(Value, f64)>> {
        let data = self.get("query", &[("query", query)]).await?;
        let results = data["result"].as_array().context("no result")?;
        let value = |result: &Value| {
            let value = result["value"][1].as_str().context("no value")?.parse()?;
            Ok((result["metric"].clone(), value))
        };
        results.iter().map(value).collect()
    }

    async fn stats(&self) -> anyhow::Result<Value> {
        Ok(self.client.get(format!("{}/stats", self.service)).send().await?.json().await?)
    }

    /// Tries again until the condition holds.
    async fn until(&self, what: &str, holds: impl AsyncFn() -> anyhow::Result<bool>) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !holds().await? {
            ensure!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }

    /// Returns the number of rules. Each was evaluated without an error.
    async fn rules(&self) -> anyhow::Result<usize> {
        let rules = async || -> anyhow::Result<Vec<Value>> {
            let data = self.get("rules", &[]).await?;
            let groups = data["groups"].as_array().context("no groups")?;
            Ok(groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect())
        };
        let all_are = |rules: &[Value], health: &str| rules.iter().all(|rule| rule["health"] == health);
        self.until("rules that are evaluated", async || {
            let rules = rules().await?;
            if let Some(bad) = rules.iter().find(|rule| rule["health"] == "err") {
                bail!("a rule fails: {bad}");
            }
            Ok(!rules.is_empty() && all_are(&rules, "ok"))
        })
        .await?;
        Ok(rules().await?.len())
    }

    /// Returns the number of gauges. A scrape may be older than a change. Then this waits for the
    /// next one.
    async fn until_gauges_are_equal(&self) -> anyhow::Result<usize> {
        let difference = async || -> anyhow::Result<Option<String>> {
            let stats = self.stats().await?;
            for (series, own) in stats["gauges"].as_object().context("no gauges")? {
                let found = self.query(series).await?;
                let [(_, exported)] = found[..] else {
                    return Ok(Some(format!("{series} has {} values", found.len())));
                };
                if Some(exported) != own.as_f64() {
                    return Ok(Some(format!("{series} is {exported}, and the handle says {own}")));
                }
            }
            Ok(None)
        };
        let begun = Instant::now();
        while let Some(difference) = difference().await? {
            ensure!(begun.elapsed() < PATIENCE, "{difference}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(self.stats().await?["gauges"].as_object().map_or(0, serde_json::Map::len))
    }

    /// Returns the number of counters. Prometheus has each at two scrapes at least.
    async fn counters_that_never_fell(&self) -> anyhow::Result<usize> {
        const COUNTERS: &str = r#"{__name__=~"decor_.*_(total|bucket|sum|count)"}"#;
        let names = self.get("label/__name__/values", &[("match[]", COUNTERS)]).await?;
        let mut counters = 0;
        for name in names.as_array().context("no names")?.iter().filter_map(Value::as_str) {
            for (series, resets) in self.query(&format!("resets({name}[10m])")).await? {
                ensure!(resets == 0.0, "{name} {series} fell {resets} times");
                counters += 1;
            }
            let scrapes = self.query(&format!("min(count_over_time({name}[10m]))")).await?;
            ensure!(scrapes.iter().all(|(_, scrapes)| *scrapes >= 2.0), "{name} was scraped once");
        }
        ensure!(counters > 0, "no counters");
        Ok(counters)
    }
}
