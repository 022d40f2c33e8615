//! What is in the domain, as ROS 2 sees it.

use serde::Serialize;

use super::dds::Discovered;
use super::discovery::ParticipantInfo;
use super::names::{Kind, from_dds_topic, from_dds_type};
use super::{Gid, Qos};

/// A ROS node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Node {
    /// Its namespace, `/` at the top.
    pub namespace: String,
    /// Its name.
    pub name: String,
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
    pub(super) fn new(publishers: Vec<Discovered>, subscriptions: Vec<Discovered>, known: &[ParticipantInfo]) -> Self {
        let node = |namespace: &str, name: &str| Node { namespace: namespace.into(), name: name.into() };
        // A participant that is gone has no endpoint left, not even the one on which it told of itself.
        let alive = |info: &&ParticipantInfo| publishers.iter().any(|endpoint| endpoint.participant == info.gid);
        let alive: Vec<&ParticipantInfo> = known.iter().filter(alive).collect();
        let mut nodes: Vec<Node> =
            alive.iter().flat_map(|info| &info.nodes).map(|it| node(&it.namespace, &it.name)).collect();
        nodes.sort();
        let owner = |gid: Gid| {
            let owns = |gids: &[Gid]| gids.contains(&gid);
            let found = alive.iter().flat_map(|info| &info.nodes).find(|it| owns(&it.readers) || owns(&it.writers));
            found.map(|it| node(&it.namespace, &it.name))
        };
        let endpoints = |found: &[Discovered]| {
            let mut all: Vec<Endpoint> = found.iter().filter_map(|it| endpoint(it, owner(it.gid))).collect();
            all.sort_by(|a, b| (&a.topic, &a.gid).cmp(&(&b.topic, &b.gid)));
            all
        };
        Graph { nodes, publishers: endpoints(&publishers), subscriptions: endpoints(&subscriptions) }
    }
}

fn endpoint(found: &Discovered, node: Option<Node>) -> Option<Endpoint> {
    let (topic, kind) = from_dds_topic(&found.topic)?;
    Some(Endpoint {
        topic,
        type_name: from_dds_type(&found.type_name),
        service: kind != Kind::Topic,
        node,
        gid: found.gid.iter().map(|byte| format!("{byte:02x}")).collect(),
        qos: Qos::from_dds(&found.qos),
    })
}
