//! Which message is meant: RTPS names one by its writer and a number. A reply says so of its request in a
//! parameter before the payload, and so may a request of the reader that waits for the reply.

use super::Gid;

/// A message of a writer. In a request of Fast DDS the reader for the reply stands for the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The writer.
    pub gid: Gid,
    /// Its number of the message.
    pub number: i64,
}

/// What the wire says of a message beside its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// The writer's number of it; 0 for what did not come over the network.
    pub number: i64,
    /// The message that it belongs to.
    pub related: Option<Identity>,
}

/// `PID_RELATED_SAMPLE_IDENTITY`, and the number that Fast DDS gave it before the standard did.
const RELATED: [u16; 2] = [0x0083, 0x800f];
const SENTINEL: u16 = 1;
const IDENTITY: usize = 24;
/// RTPS's number for one that is not known.
pub(super) const UNKNOWN: i64 = -(1 << 32);

pub(super) const FLAG_PARAMETERS: u8 = 2;
const FLAG_LITTLE: u8 = 1;
/// Where a DATA or DATA_FRAG submessage has what matters here.
const TO_PARAMETERS: usize = 6;
const NUMBER: usize = 16;

impl Origin {
    /// `submessage` is a DATA or DATA_FRAG up to its payload, with its fixed fields in the order of this machine,
    /// as Cyclone leaves them. What is cut off or absurd says nothing: it comes from the network.
    pub fn of(submessage: &[u8]) -> Self {
        let Some(number) = bytes(submessage, NUMBER).map(|it| number(it, cfg!(target_endian = "little"))) else {
            return Origin::default();
        };
        Origin { number, related: related(submessage) }
    }
}

fn related(submessage: &[u8]) -> Option<Identity> {
    let flags = *submessage.get(1)?;
    if flags & FLAG_PARAMETERS == 0 {
        return None;
    }
    let little = flags & FLAG_LITTLE != 0;
    let offset = u16::from_ne_bytes(bytes(submessage, TO_PARAMETERS)?);
    let mut at = TO_PARAMETERS + 2 + usize::from(offset);
    loop {
        let id = short(bytes(submessage, at)?, little);
        let length = usize::from(short(bytes(submessage, at + 2)?, little));
        at += 4;
        if id == SENTINEL {
            return None;
        }
        if RELATED.contains(&id) && length >= IDENTITY {
            return Some(Identity { gid: bytes(submessage, at)?, number: number(bytes(submessage, at + 16)?, little) });
        }
        at += length;
    }
}

/// The parameters that name `identity`, with their end, in the order of this machine.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(super) fn parameters(identity: &Identity) -> Vec<u8> {
    let mut list = Vec::with_capacity(RELATED.len() * (IDENTITY + 4) + 4);
    for id in RELATED {
        list.extend(id.to_ne_bytes());
        list.extend((IDENTITY as u16).to_ne_bytes());
        list.extend(identity.gid);
        list.extend(((identity.number >> 32) as i32).to_ne_bytes());
        list.extend((identity.number as u32).to_ne_bytes());
    }
    list.extend(SENTINEL.to_ne_bytes());
    list.extend([0; 2]);
    list
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn short(bytes: [u8; 2], little: bool) -> u16 {
    if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
}

/// The high half comes first, whatever the order.
fn number(bytes: [u8; 8], little: bool) -> i64 {
    let [a, b, c, d, e, f, g, h] = bytes;
    let word = |bytes| if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) };
    (i64::from(word([a, b, c, d])) << 32) | i64::from(word([e, f, g, h]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { gid: [7; 16], number: (3 << 32) | 5 };

    /// A DATA submessage with parameters in the given order.
    fn data(little: bool, parameters: &[u8]) -> Vec<u8> {
        let mut data = vec![0x15, FLAG_PARAMETERS | u8::from(little), 0, 0, 0, 0];
        data.extend(16_u16.to_ne_bytes());
        data.extend([0; 8]);
        data.extend(1_u32.to_ne_bytes());
        data.extend(2_u32.to_ne_bytes());
        data.extend(parameters);
        data
    }

    #[test]
    fn what_is_written_is_read() {
        let native = cfg!(target_endian = "little");
        let whole = data(native, &parameters(&IDENTITY));
        assert_eq!(Origin::of(&whole), Origin { number: (1 << 32) | 2, related: Some(IDENTITY) });
        for cut in 24..24 + 28 {
            assert_eq!(Origin::of(&whole[..cut]).related, None, "{cut}");
        }
        for cut in 0..24 {
            assert_eq!(Origin::of(&whole[..cut]), Origin::default(), "{cut}");
        }
        let unknown = Identity { number: UNKNOWN, ..IDENTITY };
        assert_eq!(Origin::of(&data(native, &parameters(&unknown))).related, Some(unknown));
    }

    #[test]
    fn the_other_order_and_other_parameters_do_not_disturb() {
        let mut list = vec![0, 0x70, 0, 4, 1, 2, 3, 4, 0x80, 0x0f, 0, 24];
        list.extend([7; 16]);
        list.extend([0, 0, 0, 3, 0, 0, 0, 5, 0, 1, 0, 0]);
        assert_eq!(Origin::of(&data(false, &list)).related, Some(IDENTITY));
        let without = data(false, &[0, 0x70, 0, 0, 0, 1, 0, 0]);
        assert_eq!(Origin::of(&without).related, None);
        let mut none = data(true, &[]);
        none[1] = 1;
        assert_eq!(Origin::of(&none), Origin { number: (1 << 32) | 2, related: None });
        // An offset beyond the end.
        let mut beyond = data(true, &[]);
        beyond[6..8].copy_from_slice(&u16::MAX.to_ne_bytes());
        assert_eq!(Origin::of(&beyond).related, None);
    }
}
