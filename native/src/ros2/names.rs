//! ROS 2's names on DDS: `/ns/t` is topic `rt/ns/t`, `pkg/msg/T` is type `pkg::msg::dds_::T_`.

use super::Ros2Error;

/// What a DDS topic carries for ROS 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A topic.
    Topic,
    /// The requests of a service.
    Request,
    /// The replies of a service.
    Reply,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Topic, Kind::Request, Kind::Reply];

    fn prefix(self) -> &'static str {
        match self {
            Kind::Topic => "rt",
            Kind::Request => "rq",
            Kind::Reply => "rr",
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Kind::Topic => "",
            Kind::Request => "Request",
            Kind::Reply => "Reply",
        }
    }
}

/// The absolute name of a topic, as seen from a namespace: `odom` in `/robot` is `/robot/odom`.
pub fn absolute(name: &str, namespace: &str) -> Result<String, Ros2Error> {
    let full =
        if name.starts_with('/') { name.to_owned() } else { format!("{}/{name}", namespace.trim_end_matches('/')) };
    let tokens = full.strip_prefix('/').unwrap_or(&full).split('/');
    if tokens.clone().all(is_token) { Ok(full) } else { Err(Ros2Error::Name(name.to_owned())) }
}

/// Letters, digits and underscores, not beginning with a digit.
pub(super) fn is_token(token: &str) -> bool {
    let mut bytes = token.bytes();
    let begins = bytes.next().is_some_and(|first| first == b'_' || first.is_ascii_alphabetic());
    begins && bytes.all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

/// The DDS topic of an absolute ROS name.
pub fn to_dds_topic(name: &str, kind: Kind) -> String {
    format!("{}{name}{}", kind.prefix(), kind.suffix())
}

/// The ROS name behind a DDS topic; none for topics that are not of ROS.
pub fn from_dds_topic(topic: &str) -> Option<(String, Kind)> {
    Kind::ALL.into_iter().find_map(|kind| {
        let name = topic.strip_prefix(kind.prefix())?.strip_suffix(kind.suffix())?;
        name.starts_with('/').then(|| (name.to_owned(), kind))
    })
}

/// `pkg/msg/T` (or `pkg/T`, where `folder` says what is meant) as DDS names it.
pub fn to_dds_type(name: &str, folder: &str) -> Result<String, Ros2Error> {
    let parts: Vec<&str> = name.split('/').collect();
    let (package, folder, name) = match parts[..] {
        [package, name] => (package, folder, name),
        [package, folder, name] => (package, folder, name),
        _ => return Err(Ros2Error::Type(name.to_owned())),
    };
    if ![package, folder, name].into_iter().all(is_token) {
        return Err(Ros2Error::Type(parts.join("/")));
    }
    Ok(format!("{package}::{folder}::dds_::{name}_"))
}

/// `pkg::msg::dds_::T_` as ROS names it; other names stay as they are.
pub fn from_dds_type(name: &str) -> String {
    let plain = || Some(name.strip_suffix('_')?.replacen("::dds_::", "::", 1).replace("::", "/"));
    if name.contains("::dds_::") { plain().unwrap_or_else(|| name.to_owned()) } else { name.to_owned() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_go_to_dds_and_back() {
        for (name, kind, topic) in [
            ("/chatter", Kind::Topic, "rt/chatter"),
            ("/robot/odom", Kind::Topic, "rt/robot/odom"),
            ("/add", Kind::Request, "rq/addRequest"),
            ("/add", Kind::Reply, "rr/addReply"),
        ] {
            assert_eq!(to_dds_topic(name, kind), topic);
            assert_eq!(from_dds_topic(topic), Some((name.to_owned(), kind)));
        }
        assert_eq!(from_dds_topic("ros_discovery_info"), None);
        assert_eq!(from_dds_topic("rtx"), None);
    }

    #[test]
    fn types_go_to_dds_and_back() {
        assert_eq!(to_dds_type("std_msgs/msg/String", "msg").unwrap(), "std_msgs::msg::dds_::String_");
        assert_eq!(to_dds_type("std_msgs/String", "msg").unwrap(), "std_msgs::msg::dds_::String_");
        assert_eq!(from_dds_type("std_msgs::msg::dds_::String_"), "std_msgs/msg/String");
        assert_eq!(from_dds_type("HelloWorld"), "HelloWorld");
        for wrong in ["String", "a/b/c/d", "std msgs/msg/String", "", "/msg/String"] {
            assert!(matches!(to_dds_type(wrong, "msg"), Err(Ros2Error::Type(_))), "{wrong}");
        }
    }

    #[test]
    fn relative_names_lie_in_the_namespace() {
        assert_eq!(absolute("odom", "/robot").unwrap(), "/robot/odom");
        assert_eq!(absolute("odom", "/").unwrap(), "/odom");
        assert_eq!(absolute("/odom", "/robot").unwrap(), "/odom");
        for wrong in ["", "/", "a b", "/1st", "a//b", "ä"] {
            assert!(matches!(absolute(wrong, "/"), Err(Ros2Error::Name(_))), "{wrong}");
        }
    }
}
