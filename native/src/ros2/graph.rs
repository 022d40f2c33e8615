//! What is in the domain, as ROS 2 sees it.

use serde::Serialize;

use super::dds::Discovered;
use super::discovery::{NodeInfo, ParticipantInfo};
use super::names::{Kind, from_dds_topic, from_dds_type};
use super::{Gid, Qos};

/// A ROS node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Node {
    /// Its namespace, `/` at the top.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether it is the context's own.
    pub own: bool,
}

/// A publisher or subscription.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Endpoint {
    /// The absolute ROS name.
    pub topic: String,
    /// As ROS writes it: `std_msgs/msg/String`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether the topic belongs to a service.
    pub service: bool,
    /// The node that it belongs to, when that is known.
    pub node: Option<Node>,
    /// Whether it belongs to the context itself.
    pub own: bool,
    /// Its id, in hexadecimal.
    pub gid: String,
    /// Its quality of service.
    pub qos: Qos,
}

/// Nodes, publishers and subscriptions.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Graph {
    /// All nodes.
    pub nodes: Vec<Node>,
    /// All publishers, by topic.
    pub publishers: Vec<Endpoint>,
    /// All subscriptions, by topic.
    pub subscriptions: Vec<Endpoint>,
}

impl Graph {
    pub(super) fn new(
        publishers: Vec<Discovered>,
        subscriptions: Vec<Discovered>,
        known: &[ParticipantInfo],
        own: Gid,
    ) -> Self {
        let node = |info: &ParticipantInfo, it: &NodeInfo| Node {
            namespace: it.namespace.clone(),
            name: it.name.clone(),
            own: info.gid == own,
        };
        // A participant that is gone has no endpoint left, not even the one on which it told of itself.
        let alive = |info: &&ParticipantInfo| publishers.iter().any(|endpoint| endpoint.participant == info.gid);
        let alive: Vec<&ParticipantInfo> = known.iter().filter(alive).collect();
        let named = || alive.iter().flat_map(|info| info.nodes.iter().map(move |it| (*info, it)));
        let mut nodes: Vec<Node> = named().map(|(info, it)| node(info, it)).collect();
        nodes.sort();
        let owner = |gid: Gid| {
            let owns = |gids: &[Gid]| gids.contains(&gid);
            let found = named().find(|(_, it)| owns(&it.readers) || owns(&it.writers));
            found.map(|(info, it)| node(info, it))
        };
        let endpoints = |found: &[Discovered]| {
            let mut all: Vec<Endpoint> = found.iter().filter_map(|it| endpoint(it, owner(it.gid), own)).collect();
            all.sort_by(|a, b| (&a.topic, &a.gid).cmp(&(&b.topic, &b.gid)));
            all
        };
        Graph { nodes, publishers: endpoints(&publishers), subscriptions: endpoints(&subscriptions) }
    }
}

fn endpoint(found: &Discovered, node: Option<Node>, own: Gid) -> Option<Endpoint> {
    let (topic, kind) = from_dds_topic(&found.topic)?;
    Some(Endpoint {
        topic,
        type_name: from_dds_type(&found.type_name),
        service: kind != Kind::Topic,
        node,
        own: found.participant == own,
        gid: found.gid.iter().map(|byte| format!("{byte:02x}")).collect(),
        qos: Qos::from_dds(&found.qos),
    })
}
