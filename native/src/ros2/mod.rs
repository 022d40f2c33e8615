//! Hears and speaks ROS 2 topics, calls and offers services, over an embedded DDS.
//!
//! ```text
//! Context (a participant, a ROS node)  -> Publisher    -> DDS
//!                                      <- Subscription <- DDS
//!                                      <- Synchronized <- several subscriptions, through the sync engine
//!                                      <> Client, Server  two topics each: requests and replies
//!                                      -> graph: what is in the domain
//! ```
//!
//! Samples are raw CDR with its four-byte header, both ways; what they mean is not known here. A
//! subscription's samples go to its callback on a thread of the DDS; it has to be quick.

mod config;
mod context;
mod dds;
mod discovery;
mod graph;
mod identity;
mod log;
mod names;
mod qos;
mod queue;
mod sertype;
mod service;
mod stamp;
mod sync;

pub use config::{Discovery, EndpointOptions, Options, ServiceOptions};
pub use context::{Context, Publisher, Subscription};
pub use graph::{Endpoint, Graph, Node};
pub use names::{Kind, absolute, from_dds_topic, from_dds_type, to_dds_topic, to_dds_type};
pub use qos::{Durability, History, Liveliness, Qos, Reliability};
pub use queue::{Queue, Weighed};
pub use service::{Client, Reply, Request, RequestId, Server};
pub use stamp::{Step, stamp};
pub use sync::{Group, Left, SyncOptions, Synchronized};

use crate::error::{ErrorCode, HasCode};

/// The id of a participant, publisher or subscription.
pub type Gid = [u8; 16];

/// One received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The message, with its four-byte header.
    pub cdr: Vec<u8>,
    /// When it came, ns since the epoch.
    pub received_ns: i64,
    /// When it was published, by the publisher's clock.
    pub source_ns: i64,
    /// Who published it; zeros when that is not known any more.
    pub publisher: Gid,
    /// The publisher's number of it, from 1 on; none for what did not come over the network.
    pub sequence: Option<i64>,
}

/// Those at the other end of a topic that nothing flows to or from, as the qualities do not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    /// So many since the beginning.
    pub count: u32,
    /// What the last one lacked; none: nobody, or something that has no name here.
    pub policy: Option<&'static str>,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Ros2Error {
    /// Not a ROS name.
    #[error("'{0}' is no ROS name; use letters, digits, _ and /, with no digit after a /")]
    Name(String),
    /// Not a ROS type.
    #[error("'{0}' is no ROS type; write it like std_msgs/msg/String")]
    Type(String),
    /// Not a domain.
    #[error("domain '{0}' does not exist; use 0 to 232")]
    Domain(String),
    /// Not a discovery range.
    #[error("discovery range '{0}' does not exist; use SUBNET, LOCALHOST, OFF or SYSTEM_DEFAULT")]
    Range(String),
    /// One process has one setting a domain.
    #[error("domain {0} is in use in this process with other network settings; use the same, or another domain")]
    Settings(u32),
    /// Lists of different lengths.
    #[error("{0} subscriptions and {1} stamps are given for {2} topics; give one of each for every topic")]
    Lists(usize, usize, usize),
    /// Too short or too long to be a message.
    #[error("{0} bytes are no CDR message; it begins with a header of four bytes")]
    Cdr(usize),
    /// Nobody answers.
    #[error("nobody offers service {0}; start its server, or wait for it")]
    NoServer(String),
    /// Servers that understand requests differently.
    #[error("service {0} has servers of several kinds of DDS, which read requests differently; leave one of them")]
    MixedServers(String),
    /// Not a request of this server.
    #[error("{0} bytes are no id of a request; answer with the id that came with the request")]
    RequestId(usize),
    /// This platform cannot name the request of a reply.
    #[error("a client that is not of Cyclone DDS can be answered on Linux alone; use a ROS 2 of this machine")]
    CannotRelate,
    /// A subscription does not keep up.
    #[error(
        "there is no room for {0} more bytes, as subscriptions have not confirmed what was published before; \
         publish them again later, or keep only the last messages"
    )]
    Full(usize),
    /// The DDS says no.
    #[error("{call} failed: {reason}; see whether the network interface and the domain are right")]
    Dds {
        /// Which of its functions.
        call: &'static str,
        /// In its words.
        reason: String,
    },
}

impl HasCode for Ros2Error {
    fn code(&self) -> ErrorCode {
        match self {
            Ros2Error::Name(_)
            | Ros2Error::Type(_)
            | Ros2Error::Domain(_)
            | Ros2Error::Range(_)
            | Ros2Error::Settings(_)
            | Ros2Error::Lists(..) => ErrorCode::InvalidOption,
            Ros2Error::Cdr(_) | Ros2Error::RequestId(_) => ErrorCode::InvalidInput,
            Ros2Error::CannotRelate => ErrorCode::Unavailable,
            Ros2Error::Full(_) => ErrorCode::BufferFull,
            Ros2Error::NoServer(_) | Ros2Error::MixedServers(_) | Ros2Error::Dds { .. } => ErrorCode::Transport,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_know_what_each_error_asks_for() {
        let text = String::new;
        for (error, code) in [
            (Ros2Error::Name(text()), ErrorCode::InvalidOption),
            (Ros2Error::Type(text()), ErrorCode::InvalidOption),
            (Ros2Error::Domain(text()), ErrorCode::InvalidOption),
            (Ros2Error::Range(text()), ErrorCode::InvalidOption),
            (Ros2Error::Settings(1), ErrorCode::InvalidOption),
            (Ros2Error::Lists(1, 2, 3), ErrorCode::InvalidOption),
            (Ros2Error::Cdr(1), ErrorCode::InvalidInput),
            (Ros2Error::RequestId(1), ErrorCode::InvalidInput),
            (Ros2Error::CannotRelate, ErrorCode::Unavailable),
            (Ros2Error::Full(1), ErrorCode::BufferFull),
            (Ros2Error::NoServer(text()), ErrorCode::Transport),
            (Ros2Error::MixedServers(text()), ErrorCode::Transport),
            (Ros2Error::Dds { call: "dds_write", reason: text() }, ErrorCode::Transport),
        ] {
            assert_eq!(error.code(), code, "{error}");
        }
    }
}
