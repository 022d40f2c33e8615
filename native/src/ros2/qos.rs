//! Quality of service, in the words of ROS 2.

use cyclors::qos as dds;
use serde::{Deserialize, Serialize};

/// Whether lost samples are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reliability {
    /// Lost is lost.
    BestEffort,
    /// Sent again until received.
    Reliable,
}

/// Whether late subscribers get what was published before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Nothing from before.
    Volatile,
    /// The last samples, as many as the depth.
    TransientLocal,
}

/// How many samples are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum History {
    /// The last `depth` ones.
    KeepLast,
    /// All.
    KeepAll,
}

/// Who says that a publisher is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Liveliness {
    /// The middleware.
    Automatic,
    /// The application.
    ManualByTopic,
}

/// The quality of service of a publisher or subscription. The default is that of sensor data with
/// depth 1: what a synchroniser wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Qos {
    /// Whether lost samples are sent again.
    pub reliability: Reliability,
    /// Whether late subscribers get what was published before.
    pub durability: Durability,
    /// How many samples are kept.
    pub history: History,
    /// For `keep-last`.
    pub depth: u32,
    /// The longest time between two samples.
    pub deadline_ms: Option<f64>,
    /// How long a sample is worth sending.
    pub lifespan_ms: Option<f64>,
    /// Who says that a publisher is alive.
    pub liveliness: Liveliness,
    /// How long a publisher counts as alive.
    pub lease_ms: Option<f64>,
}

impl Default for Qos {
    fn default() -> Self {
        Qos {
            reliability: Reliability::BestEffort,
            durability: Durability::Volatile,
            history: History::KeepLast,
            depth: 1,
            deadline_ms: None,
            lifespan_ms: None,
            liveliness: Liveliness::Automatic,
            lease_ms: None,
        }
    }
}

const INFINITE: i64 = dds::DDS_INFINITE_TIME;

fn ns(ms: Option<f64>) -> i64 {
    ms.map_or(INFINITE, |ms| (ms * 1e6) as i64)
}

fn ms(ns: i64) -> Option<f64> {
    (ns != INFINITE).then_some(ns as f64 / 1e6)
}

impl Qos {
    pub(super) fn to_dds(&self) -> dds::Qos {
        let reliability = match self.reliability {
            Reliability::BestEffort => dds::ReliabilityKind::BEST_EFFORT,
            Reliability::Reliable => dds::ReliabilityKind::RELIABLE,
        };
        let durability = match self.durability {
            Durability::Volatile => dds::DurabilityKind::VOLATILE,
            Durability::TransientLocal => dds::DurabilityKind::TRANSIENT_LOCAL,
        };
        let (history, depth) = match self.history {
            History::KeepLast => (dds::HistoryKind::KEEP_LAST, self.depth.clamp(1, i32::MAX as u32) as i32),
            History::KeepAll => (dds::HistoryKind::KEEP_ALL, 0),
        };
        let liveliness = match self.liveliness {
            Liveliness::Automatic => dds::LivelinessKind::AUTOMATIC,
            Liveliness::ManualByTopic => dds::LivelinessKind::MANUAL_BY_TOPIC,
        };
        dds::Qos {
            // A publisher whose buffer is full says so at once: its caller is the JavaScript thread.
            reliability: Some(dds::Reliability { kind: reliability, max_blocking_time: 0 }),
            durability: Some(dds::Durability { kind: durability }),
            durability_service: Some(dds::DurabilityService {
                history_kind: history,
                history_depth: depth.max(1),
                ..Default::default()
            }),
            history: Some(dds::History { kind: history, depth }),
            deadline: Some(dds::Deadline { period: ns(self.deadline_ms) }),
            lifespan: Some(dds::Lifespan { duration: ns(self.lifespan_ms) }),
            liveliness: Some(dds::Liveliness { kind: liveliness, lease_duration: ns(self.lease_ms) }),
            // ROS 2 speaks XCDR1.
            data_representation: Some(vec![0]),
            ..empty()
        }
    }

    /// Of requests and replies, as ROS 2 has them; but none of those that wait to be received gives way to another,
    /// and who cannot write does not wait.
    pub(super) fn of_services() -> dds::Qos {
        let qos = Qos { reliability: Reliability::Reliable, history: History::KeepAll, ..Qos::default() };
        let reliability = dds::Reliability { kind: dds::ReliabilityKind::RELIABLE, max_blocking_time: 0 };
        dds::Qos { reliability: Some(reliability), ..qos.to_dds() }
    }

    pub(super) fn from_dds(qos: &dds::Qos) -> Self {
        let reliable = qos.reliability.as_ref().is_some_and(|it| it.kind == dds::ReliabilityKind::RELIABLE);
        let volatile = qos.durability.as_ref().is_none_or(|it| it.kind == dds::DurabilityKind::VOLATILE);
        let keep_all = qos.history.as_ref().is_some_and(|it| it.kind == dds::HistoryKind::KEEP_ALL);
        let manual = qos.liveliness.as_ref().is_some_and(|it| it.kind != dds::LivelinessKind::AUTOMATIC);
        Qos {
            reliability: if reliable { Reliability::Reliable } else { Reliability::BestEffort },
            durability: if volatile { Durability::Volatile } else { Durability::TransientLocal },
            history: if keep_all { History::KeepAll } else { History::KeepLast },
            depth: qos.history.as_ref().map_or(1, |it| it.depth.max(1) as u32),
            deadline_ms: qos.deadline.as_ref().and_then(|it| ms(it.period)),
            lifespan_ms: qos.lifespan.as_ref().and_then(|it| ms(it.duration)),
            liveliness: if manual { Liveliness::ManualByTopic } else { Liveliness::Automatic },
            lease_ms: qos.liveliness.as_ref().and_then(|it| ms(it.lease_duration)),
        }
    }

    /// Why a subscription with this quality gets nothing from a publisher with that; none: it fits.
    pub fn refuses(&self, offered: &Qos) -> Option<&'static str> {
        let longer = |wanted: Option<f64>, offered: Option<f64>| match (wanted, offered) {
            (Some(wanted), Some(offered)) => offered > wanted,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if self.reliability == Reliability::Reliable && offered.reliability == Reliability::BestEffort {
            Some("reliability")
        } else if self.durability == Durability::TransientLocal && offered.durability == Durability::Volatile {
            Some("durability")
        } else if longer(self.deadline_ms, offered.deadline_ms) {
            Some("deadline")
        } else if self.liveliness == Liveliness::ManualByTopic && offered.liveliness == Liveliness::Automatic
            || longer(self.lease_ms, offered.lease_ms)
        {
            Some("liveliness")
        } else {
            None
        }
    }
}

/// Says nothing: Cyclone's defaults.
pub(super) fn empty() -> dds::Qos {
    dds::Qos {
        user_data: None,
        topic_data: None,
        group_data: None,
        durability: None,
        durability_service: None,
        presentation: None,
        deadline: None,
        latency_budget: None,
        ownership: None,
        ownership_strength: None,
        liveliness: None,
        time_based_filter: None,
        partition: None,
        reliability: None,
        transport_priority: None,
        lifespan: None,
        destination_order: None,
        history: None,
        resource_limits: None,
        writer_data_lifecycle: None,
        reader_data_lifecycle: None,
        writer_batching: None,
        type_consistency: None,
        entity_name: None,
        properties: None,
        ignore_local: None,
        data_representation: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qualities_survive_dds() {
        let all = Qos {
            reliability: Reliability::Reliable,
            durability: Durability::TransientLocal,
            depth: 7,
            deadline_ms: Some(20.0),
            lifespan_ms: Some(1000.0),
            liveliness: Liveliness::ManualByTopic,
            lease_ms: Some(500.0),
            ..Qos::default()
        };
        let keep_all = Qos { history: History::KeepAll, ..Qos::default() };
        for qos in [Qos::default(), all, keep_all] {
            assert_eq!(Qos::from_dds(&qos.to_dds()), qos);
        }
    }

    #[test]
    fn a_subscription_gets_nothing_from_a_publisher_that_offers_less() {
        let with = |change: fn(&mut Qos)| {
            let mut qos = Qos::default();
            change(&mut qos);
            qos
        };
        let least = Qos::default();
        for (wanted, reason) in [
            (with(|qos| qos.reliability = Reliability::Reliable), "reliability"),
            (with(|qos| qos.durability = Durability::TransientLocal), "durability"),
            (with(|qos| qos.deadline_ms = Some(10.0)), "deadline"),
            (with(|qos| qos.liveliness = Liveliness::ManualByTopic), "liveliness"),
            (with(|qos| qos.lease_ms = Some(10.0)), "liveliness"),
        ] {
            assert_eq!(wanted.refuses(&least), Some(reason));
            assert_eq!(wanted.refuses(&wanted), None);
            assert_eq!(least.refuses(&wanted), None);
        }
    }
}
