//! Writing families of metrics.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::actors::tally::Histogram;

/// Names and values of labels.
pub(super) type Labels<'a> = Vec<(&'static str, &'a str)>;

/// What a family is called, without `callcenter_`, its unit and `_total`, which are added.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Option<&'static Unit>,
}

/// A family whose values have no unit.
pub(super) const fn plain(name: &'static str, help: &'static str) -> Name {
    Name { name, help, unit: None }
}

/// A family in seconds.
pub(super) const fn seconds(name: &'static str, help: &'static str) -> Name {
    Name { name, help, unit: Some(&Unit::Seconds) }
}

/// A family in bytes.
pub(super) const fn bytes(name: &'static str, help: &'static str) -> Name {
    Name { name, help, unit: Some(&Unit::Bytes) }
}

/// Writes one family after the other.
pub(super) struct Families<'a>(DescriptorEncoder<'a>);

impl<'a> Families<'a> {
    pub(super) fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Self(encoder)
    }

    /// A number that only grows while the process lives, but for restarts of the actor that counts it.
    pub(super) fn counter<'l>(
        &mut self,
        name: Name,
        samples: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> fmt::Result {
        self.family(name, MetricType::Counter, samples, |metric, value| {
            metric.encode_counter::<NoLabelSet, f64, f64>(value, None)
        })
    }

    /// A number of now.
    pub(super) fn gauge<'l>(
        &mut self,
        name: Name,
        samples: impl IntoIterator<Item = (Labels<'l>, f64)>,
    ) -> fmt::Result {
        self.family(name, MetricType::Gauge, samples, |metric, value| metric.encode_gauge(value))
    }

    /// Values in buckets.
    pub(super) fn histogram<'l>(
        &mut self,
        name: Name,
        samples: impl IntoIterator<Item = (Labels<'l>, &'l Histogram)>,
    ) -> fmt::Result {
        self.family(name, MetricType::Histogram, samples, |metric, value| {
            metric.encode_histogram::<NoLabelSet>(value.sum(), value.count(), &value.buckets(), None)
        })
    }

    fn family<'l, V>(
        &mut self,
        name: Name,
        kind: MetricType,
        samples: impl IntoIterator<Item = (Labels<'l>, V)>,
        write: impl Fn(&mut MetricEncoder<'_>, &V) -> fmt::Result,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name.name, name.help, name.unit, kind)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                write(&mut family, &value)?;
            } else {
                write(&mut family.encode_family(&labels)?, &value)?;
            }
        }
        Ok(())
    }
}
