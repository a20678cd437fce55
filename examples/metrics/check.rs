//! Scrapes the service twice: counters only grow, and gauges are the handles' own statistics.

use crate::{load, page::Page, service::Service};
use anyhow::{Context, ensure};

#[allow(clippy::float_cmp)] // both are the same number
pub(crate) async fn run(service: &Service, url: &str) -> anyhow::Result<()> {
    for round in 0..5 {
        load::requests(url, round).await?;
    }
    let first = scrape(url).await?;
    service.handles.items.clear();
    load::requests(url, 9).await?;
    let second = scrape(url).await?;

    let mut counters = 0;
    for (series, before) in first.samples.iter().filter(|(series, _)| first.only_grows(series)) {
        let after = second.samples.get(series).with_context(|| format!("{series} has gone"))?;
        ensure!(after >= before, "{series} fell from {before} to {after}");
        counters += 1;
    }
    let grown = |series: &str| second.samples.get(series) > first.samples.get(series);
    for series in ["decor_memo_calls_total{name=\"items\",outcome=\"miss\"}", "decor_memo_loads_total{name=\"items\"}"]
    {
        ensure!(grown(series), "{series} did not grow, although the memo was cleared");
    }

    // The permits of the window may have come back since the scrape.
    let gauges = service.handles.gauges();
    let gauges = gauges.iter().filter(|(series, _)| !series.contains("available")).collect::<Vec<_>>();
    for (series, own) in &gauges {
        let exported = second.samples.get(series).with_context(|| format!("no {series}"))?;
        ensure!(exported == own, "{series} is {exported}, and the handle says {own}");
    }
    for (series, active) in second.samples.iter().filter(|(series, _)| series.starts_with("decor_call_active")) {
        ensure!(*active == 0.0, "{series} is {active} after all calls have ended");
    }
    println!("{counters} counters and buckets have only grown, {} gauges are the handles' own values", gauges.len());
    Ok(())
}

async fn scrape(url: &str) -> anyhow::Result<Page> {
    let response = reqwest::get(format!("{url}/metrics")).await?.error_for_status()?;
    Page::parse(&response.text().await?)
}
