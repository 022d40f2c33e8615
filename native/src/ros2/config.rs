//! What a context can be told, and Cyclone's configuration made of it.

use serde::{Deserialize, Serialize};

use super::names::is_token;
use super::{Qos, Ros2Error};

/// How far discovery reaches, in ROS 2's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Discovery {
    /// The network that multicast reaches.
    Subnet,
    /// This machine.
    Localhost,
    /// Nobody but the peers.
    Off,
    /// As Cyclone DDS is configured.
    SystemDefault,
}

/// The options of a [`super::Context`]. What is left out comes from ROS 2's environment variables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Options {
    /// `ROS_DOMAIN_ID`, else 0.
    pub domain: Option<u32>,
    /// The node's name.
    pub name: String,
    /// The node's namespace.
    pub namespace: String,
    /// `ROS_AUTOMATIC_DISCOVERY_RANGE`, else the subnet.
    pub discovery: Option<Discovery>,
    /// Addresses to look for others at; `ROS_STATIC_PEERS`.
    pub peers: Option<Vec<String>>,
    /// Name or address of the network interface; none: Cyclone chooses.
    pub interface: Option<String>,
    /// Cyclone's own configuration, XML or `file://`; `CYCLONEDDS_URI`. What is set here has precedence.
    pub cyclonedds_uri: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            domain: None,
            name: "millrace".into(),
            namespace: "/".into(),
            discovery: None,
            peers: None,
            interface: None,
            cyclonedds_uri: None,
        }
    }
}

/// What is wanted of a topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointOptions {
    /// Absolute, or within the node's namespace.
    pub topic: String,
    /// `std_msgs/msg/String`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its quality of service.
    #[serde(default)]
    pub qos: Qos,
    /// So many messages wait at most for who hears them.
    #[serde(default = "max_samples")]
    pub max_samples: usize,
    /// So many bytes wait at most; one message always may.
    #[serde(default = "max_bytes")]
    pub max_bytes: usize,
}

/// What is wanted of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceOptions {
    /// Absolute, or within the node's namespace.
    pub service: String,
    /// `std_srvs/srv/Trigger`.
    #[serde(rename = "type")]
    pub type_name: String,
    /// So many requests or replies wait at most for who takes them.
    #[serde(default = "max_samples")]
    pub max_samples: usize,
    /// So many bytes wait at most; one always may.
    #[serde(default = "max_bytes")]
    pub max_bytes: usize,
}

fn max_samples() -> usize {
    1000
}

fn max_bytes() -> usize {
    64 << 20
}

/// Beyond this the ports that DDS computes from the id do not exist.
const MAX_DOMAIN: u32 = 232;

/// What Cyclone is started with.
#[derive(Debug)]
pub(super) struct Setting {
    pub domain: u32,
    pub config: String,
}

impl Options {
    /// `env` looks up an environment variable.
    pub(super) fn setting(&self, env: impl Fn(&str) -> Option<String>) -> Result<Setting, Ros2Error> {
        if !is_token(&self.name) {
            return Err(Ros2Error::Name(self.name.clone()));
        }
        let tokens = self.namespace.trim_matches('/');
        if !self.namespace.starts_with('/') || !(tokens.is_empty() || tokens.split('/').all(is_token)) {
            return Err(Ros2Error::Name(self.namespace.clone()));
        }
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let domain = match (self.domain, env("ROS_DOMAIN_ID")) {
            (Some(domain), _) => domain,
            (None, Some(text)) => text.parse().map_err(|_| Ros2Error::Domain(text))?,
            (None, None) => 0,
        };
        if domain > MAX_DOMAIN {
            return Err(Ros2Error::Domain(domain.to_string()));
        }
        let discovery = match (self.discovery, env("ROS_AUTOMATIC_DISCOVERY_RANGE")) {
            (Some(discovery), _) => discovery,
            (None, Some(text)) => range(&text)?,
            (None, None) => Discovery::Subnet,
        };
        let split = |text: String| text.split(';').filter(|peer| !peer.is_empty()).map(str::to_owned).collect();
        let peers = self.peers.clone().or_else(|| env("ROS_STATIC_PEERS").map(split)).unwrap_or_default();
        let uri = self.cyclonedds_uri.clone().or_else(|| env("CYCLONEDDS_URI"));
        let chosen = chosen(discovery, &peers, self.interface.as_deref());
        // Of several configurations the later one has precedence.
        let parts = [Some(defaults()), uri, Some(chosen)];
        Ok(Setting { domain, config: parts.into_iter().flatten().collect::<Vec<_>>().join(",") })
    }
}

fn range(text: &str) -> Result<Discovery, Ros2Error> {
    match text {
        "SUBNET" => Ok(Discovery::Subnet),
        "LOCALHOST" => Ok(Discovery::Localhost),
        "OFF" => Ok(Discovery::Off),
        "SYSTEM_DEFAULT" => Ok(Discovery::SystemDefault),
        other => Err(Ros2Error::Range(other.to_owned())),
    }
}

/// What Cyclone's own configuration may change.
fn defaults() -> String {
    // Without multicast others find us at ports that follow from an index.
    let index = "<ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>99</MaxAutoParticipantIndex>";
    // The kernel's usual 208 KB lose large messages. More than it allows is no error.
    let buffer = "<SocketReceiveBufferSize min=\"default\" max=\"4MB\"/>";
    // What a publisher that keeps all may have under way. Cyclone's 30 to 500 KB are full after a burst.
    let under_way = "<Watermarks><WhcHigh>16MB</WhcHigh><WhcHighInit>16MB</WhcHighInit></Watermarks>";
    xml(&format!("<Discovery>{index}</Discovery><Internal>{buffer}{under_way}</Internal>"))
}

fn chosen(discovery: Discovery, peers: &[String], interface: Option<&str>) -> String {
    let local = discovery == Discovery::Localhost;
    let interface = interface.or(local.then_some("127.0.0.1"));
    let mut general = String::new();
    if let Some(interface) = interface {
        let key = if interface.parse::<std::net::IpAddr>().is_ok() { "address" } else { "name" };
        let interface = escape(interface);
        general += &format!("<Interfaces><NetworkInterface {key}=\"{interface}\"/></Interfaces>");
    }
    if matches!(discovery, Discovery::Localhost | Discovery::Off) {
        general += "<AllowMulticast>false</AllowMulticast>";
    }
    let peers = peers.iter().map(String::as_str).chain(local.then_some("127.0.0.1"));
    let peers: String = peers.map(|peer| format!("<Peer address=\"{}\"/>", escape(peer))).collect();
    // Who is new here may not listen yet when it is answered, and Cyclone says it again after a second. It costs a
    // packet for each index, so it is for this machine alone.
    let interval = if local { "<SPDPInterval>500 ms</SPDPInterval>" } else { "" };
    xml(&format!("<General>{general}</General><Discovery>{interval}<Peers>{peers}</Peers></Discovery>"))
}

fn xml(domain: &str) -> String {
    format!("<CycloneDDS><Domain Id=\"any\">{domain}</Domain></CycloneDDS>")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn with(variables: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn what_is_left_out_comes_from_ros_2_s_environment() {
        let environment = with(&[
            ("ROS_DOMAIN_ID", "7"),
            ("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST"),
            ("ROS_STATIC_PEERS", "10.0.0.1;robot"),
            ("CYCLONEDDS_URI", "file:///etc/cyclone.xml"),
        ]);
        let setting = Options::default().setting(&environment).unwrap();
        assert_eq!(setting.domain, 7);
        let (before, after) = setting.config.split_once(",file:///etc/cyclone.xml,").unwrap();
        assert!(before.contains("<SocketReceiveBufferSize"), "{before}");
        assert!(after.contains("<NetworkInterface"), "{after}");
        for part in ["address=\"127.0.0.1\"", "<AllowMulticast>false", "<SPDPInterval>", "\"10.0.0.1\"", "\"robot\""] {
            assert!(setting.config.contains(part), "{part} in {}", setting.config);
        }
        let own = Options {
            domain: Some(3),
            discovery: Some(Discovery::Subnet),
            peers: Some(vec![]),
            interface: Some("eth<0".into()),
            ..Options::default()
        };
        let setting = own.setting(&environment).unwrap();
        assert_eq!(setting.domain, 3);
        assert!(setting.config.contains("name=\"eth&lt;0\"") && !setting.config.contains("robot"));
        assert!(!setting.config.contains("SPDPInterval"));
        assert_eq!(Options::default().setting(with(&[])).unwrap().domain, 0);
    }

    #[test]
    fn each_range_is_known_by_its_name() {
        for (name, wanted) in [
            ("SUBNET", Discovery::Subnet),
            ("LOCALHOST", Discovery::Localhost),
            ("OFF", Discovery::Off),
            ("SYSTEM_DEFAULT", Discovery::SystemDefault),
        ] {
            assert_eq!(range(name).unwrap(), wanted);
        }
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let named = |name: &str, namespace: &str| Options {
            name: name.into(),
            namespace: namespace.into(),
            ..Options::default()
        };
        assert!(matches!(named("a b", "/").setting(with(&[])), Err(Ros2Error::Name(_))));
        assert!(matches!(named("a", "b").setting(with(&[])), Err(Ros2Error::Name(_))));
        assert!(matches!(Options::default().setting(with(&[("ROS_DOMAIN_ID", "x")])), Err(Ros2Error::Domain(_))));
        let range = with(&[("ROS_AUTOMATIC_DISCOVERY_RANGE", "FAR")]);
        assert!(matches!(Options::default().setting(range), Err(Ros2Error::Range(_))));
    }
}
