//! A page of metrics in the text format of Prometheus, read back.

use anyhow::{Context, ensure};
use std::collections::BTreeMap;

/// The samples of a page, and the type of each metric.
pub(crate) struct Page {
    pub(crate) samples: BTreeMap<String, f64>,
    types: BTreeMap<String, String>,
}

impl Page {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut page = Self { samples: BTreeMap::new(), types: BTreeMap::new() };
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(typed) = line.strip_prefix("# TYPE ") {
                let (name, kind) = typed.split_once(' ').context("a type without a name")?;
                page.types.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').context("a sample without a value")?;
                let is_new = page.samples.insert(series.to_owned(), value.parse()?).is_none();
                ensure!(is_new, "{series} is there twice");
            }
        }
        Ok(page)
    }

    /// `true` for counters, and for the buckets, sums and counts of histograms.
    pub(crate) fn only_grows(&self, series: &str) -> bool {
        let name = series.split('{').next().unwrap_or_default();
        let is = |name: &str, kind: &str| self.types.get(name).is_some_and(|known| known == kind);
        let of_histogram = ["_bucket", "_sum", "_count"].iter().filter_map(|part| name.strip_suffix(part));
        is(name, "counter") || of_histogram.into_iter().any(|name| is(name, "histogram"))
    }
}
