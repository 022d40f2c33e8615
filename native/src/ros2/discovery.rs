//! ROS 2's own layer above DDS discovery: who belongs to which node. Every participant says so on
//! `ros_discovery_info`, as a `rmw_dds_common/msg/ParticipantEntitiesInfo`.

use super::Gid;

pub(super) const TOPIC: &str = "ros_discovery_info";
pub(super) const TYPE: &str = "rmw_dds_common::msg::dds_::ParticipantEntitiesInfo_";

/// A node and its endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NodeInfo {
    pub namespace: String,
    pub name: String,
    pub readers: Vec<Gid>,
    pub writers: Vec<Gid>,
}

/// A participant and its nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ParticipantInfo {
    pub gid: Gid,
    pub nodes: Vec<NodeInfo>,
}

pub(super) fn encode(info: &ParticipantInfo) -> Vec<u8> {
    let mut cdr = vec![0, 1, 0, 0];
    cdr.extend_from_slice(&info.gid);
    put_u32(&mut cdr, info.nodes.len());
    for node in &info.nodes {
        for text in [&node.namespace, &node.name] {
            put_u32(&mut cdr, text.len() + 1);
            cdr.extend_from_slice(text.as_bytes());
            cdr.push(0);
        }
        for gids in [&node.readers, &node.writers] {
            put_u32(&mut cdr, gids.len());
            gids.iter().for_each(|gid| cdr.extend_from_slice(gid));
        }
    }
    cdr
}

fn put_u32(cdr: &mut Vec<u8>, value: usize) {
    // Alignment counts from behind the header, whose length is 4, too.
    cdr.resize(cdr.len().next_multiple_of(4), 0);
    cdr.extend_from_slice(&(value as u32).to_le_bytes());
}

/// None for what is cut off or absurd: it comes from the network.
pub(super) fn decode(cdr: &[u8]) -> Option<ParticipantInfo> {
    let mut input = Input { little: cdr.get(1)? & 1 == 1, rest: cdr, at: 4 };
    let gid = input.gid()?;
    let nodes = (0..input.length()?).map(|_| input.node()).collect::<Option<_>>()?;
    Some(ParticipantInfo { gid, nodes })
}

struct Input<'a> {
    little: bool,
    rest: &'a [u8],
    at: usize,
}

impl Input<'_> {
    fn bytes(&mut self, count: usize) -> Option<&[u8]> {
        let bytes = self.rest.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(bytes)
    }

    fn gid(&mut self) -> Option<Gid> {
        self.bytes(16)?.try_into().ok()
    }

    fn length(&mut self) -> Option<usize> {
        self.at = self.at.next_multiple_of(4);
        let little = self.little;
        let bytes: [u8; 4] = self.bytes(4)?.try_into().ok()?;
        let length = if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) } as usize;
        // Every element takes at least a byte: longer than what is left is a lie.
        (length <= self.rest.len()).then_some(length)
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length()?;
        let bytes = self.bytes(length)?;
        Some(String::from_utf8_lossy(bytes.strip_suffix(&[0]).unwrap_or(bytes)).into_owned())
    }

    fn gids(&mut self) -> Option<Vec<Gid>> {
        (0..self.length()?).map(|_| self.gid()).collect()
    }

    fn node(&mut self) -> Option<NodeInfo> {
        Some(NodeInfo { namespace: self.text()?, name: self.text()?, readers: self.gids()?, writers: self.gids()? })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_the_rest_refused() {
        let info = ParticipantInfo {
            gid: [7; 16],
            nodes: vec![
                NodeInfo { namespace: "/".into(), name: "talker".into(), readers: vec![[1; 16]], writers: vec![] },
                NodeInfo { namespace: "/a".into(), name: "b".into(), readers: vec![], writers: vec![[2; 16], [3; 16]] },
            ],
        };
        let cdr = encode(&info);
        assert_eq!(decode(&cdr).unwrap(), info);
        for cut in 0..cdr.len() {
            assert_eq!(decode(&cdr[..cut]), None, "{cut}");
        }
        let mut absurd = cdr.clone();
        absurd[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(decode(&absurd), None);
    }
}
