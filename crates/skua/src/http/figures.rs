//! Figures gathered at the moment of asking, and their text form.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::metric::{self, Metric};

pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Label sets of one metric, at most: ten thousand topics must not make a page of megabytes.
const SAMPLES_MAX: usize = 1000;

type Labels = Vec<(&'static str, String)>;

/// One metric with all its label sets.
#[derive(Debug)]
pub struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    samples: Vec<(Labels, f64)>,
}

impl Family {
    pub fn of(metric: Metric) -> Self {
        let Metric { name, help, kind } = metric;
        Self { name, help, kind, samples: Vec::new() }
    }

    /// Adds one value. Of more than [`SAMPLES_MAX`] the page has the largest.
    pub fn with<const N: usize>(
        mut self,
        labels: [(&'static str, &str); N],
        value: impl Figure,
    ) -> Self {
        self.add(labels, value);
        self
    }

    pub fn add<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: impl Figure) {
        let labels = labels.map(|(name, value)| (name, value.to_owned())).to_vec();
        self.samples.push((labels, value.figure()));
    }

    fn bound(&mut self) -> usize {
        if self.samples.len() <= SAMPLES_MAX {
            return 0;
        }
        self.samples.sort_by(|a, b| b.1.total_cmp(&a.1));
        let left_out = self.samples.len() - SAMPLES_MAX;
        self.samples.truncate(SAMPLES_MAX);
        left_out
    }
}

/// What can be a value.
pub trait Figure {
    fn figure(self) -> f64;
}

macro_rules! figures {
    ($($type:ty),*) => {$(
        impl Figure for $type {
            fn figure(self) -> f64 {
                self as f64
            }
        }
    )*};
}

figures!(u8, u32, u64, i64, usize, f64);

impl Collector for Family {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(self.name, self.help, None, self.kind)?;
        for (labels, value) in &self.samples {
            let sample = family.encode_family(labels)?;
            match self.kind {
                MetricType::Counter => ConstCounter::new(*value).encode(sample)?,
                _ => ConstGauge::new(*value).encode(sample)?,
            }
        }
        Ok(())
    }
}

/// The page of all of them. Metrics of one name are put together: roles may share some.
pub fn page(families: Vec<Family>) -> String {
    let mut together: Vec<Family> = Vec::new();
    for family in families {
        match together.iter_mut().find(|known| known.name == family.name) {
            Some(known) => known.samples.extend(family.samples),
            None => together.push(family),
        }
    }
    let mut left_out = Family::of(metric::METRICS_LEFT_OUT);
    for family in &mut together {
        let count = family.bound();
        if count > 0 {
            left_out.add([("metric", family.name)], count);
        }
    }
    together.push(left_out);
    let mut registry = Registry::default();
    for family in together.into_iter().filter(|family| !family.samples.is_empty()) {
        registry.register_collector(Box::new(family));
    }
    let mut page = String::new();
    // Into a string nothing fails.
    let _ = text::encode(&mut page, &registry);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(name: &'static str, help: &'static str) -> Family {
        Family::of(Metric { name, help, kind: MetricType::Gauge })
    }

    fn counter(name: &'static str, help: &'static str) -> Family {
        Family::of(Metric { name, help, kind: MetricType::Counter })
    }

    #[test]
    fn the_page_is_open_metrics_with_one_block_a_metric() {
        let page = page(vec![
            counter("a_messages", "Messages").with([("topic", "A\"b\\")], 3_u64),
            gauge("b_bytes", "Bytes").with([], 2.5),
            counter("a_messages", "Messages").with([("topic", "C")], 4_u64),
            gauge("none", "Nothing to tell"),
        ]);
        assert_eq!(
            page,
            "# HELP a_messages Messages\n# TYPE a_messages counter\n\
             a_messages_total{topic=\"A\\\"b\\\\\"} 3.0\na_messages_total{topic=\"C\"} 4.0\n\
             # HELP b_bytes Bytes\n# TYPE b_bytes gauge\nb_bytes 2.5\n# EOF\n"
        );
    }

    #[test]
    fn of_too_many_label_sets_the_largest_are_told_and_the_rest_counted() {
        let mut lag = gauge("lag", "Lag");
        for number in 0..10_000_u64 {
            lag.add([("topic", &number.to_string())], number);
        }
        let page = page(vec![lag]);
        assert_eq!(page.lines().filter(|line| line.starts_with("lag{")).count(), SAMPLES_MAX);
        assert!(page.contains("lag{topic=\"9999\"} 9999.0\n") && !page.contains("topic=\"8999\""));
        assert!(page.contains("skua_metrics_left_out{metric=\"lag\"} 9000.0\n"), "{page}");
    }
}
