//! Namespaces and keys, and how they become the store's keys: `namespace 00 key`, and for an older version
//! `namespace 00 key 00 stamp`. No name has a zero byte, so that these sort as the names do.

use super::{MemoryError, Result};

const NAMESPACE_MAX: usize = 256;
const KEY_MAX: usize = 1024;

/// The store's key of a document; fails for what cannot be a name.
pub(super) fn document(namespace: &str, key: &str) -> Result<Vec<u8>> {
    check("namespace", namespace, NAMESPACE_MAX)?;
    check("key", key, KEY_MAX)?;
    Ok(join(namespace, key))
}

/// What all documents of a namespace begin with.
pub(super) fn all(namespace: &str) -> Result<Vec<u8>> {
    check("namespace", namespace, NAMESPACE_MAX)?;
    Ok(join(namespace, ""))
}

fn join(namespace: &str, key: &str) -> Vec<u8> {
    let mut joined = Vec::with_capacity(namespace.len() + 1 + key.len() + 9);
    joined.extend_from_slice(namespace.as_bytes());
    joined.push(0);
    joined.extend_from_slice(key.as_bytes());
    joined
}

/// The store's key of an older version.
pub(super) fn version(document: &[u8], stamp: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(document.len() + 9);
    key.extend_from_slice(document);
    key.push(0);
    key.extend_from_slice(&stamp.to_be_bytes());
    key
}

/// The document and the stamp of an older version's key.
pub(super) fn of_version(key: &[u8]) -> Option<(&[u8], u64)> {
    let (document, stamp) = key.split_last_chunk::<8>()?;
    Some((document.strip_suffix(&[0])?, u64::from_be_bytes(*stamp)))
}

/// Namespace and key.
pub(super) fn of_document(document: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(document).ok()?;
    text.split_once('\0')
}

/// The first key behind all that begin so.
pub(super) fn behind(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

fn check(what: &'static str, name: &str, limit: usize) -> Result<()> {
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > limit {
        "it is too long; a namespace has up to 256 bytes, a key up to 1024"
    } else if name.as_bytes().contains(&0) {
        "it has a zero character"
    } else {
        return Ok(());
    };
    Err(MemoryError::Name { what, name: name.chars().take(80).collect(), problem })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_they_do_alone_and_come_back() {
        let key = document("a", "b").unwrap();
        assert_eq!(of_document(&key), Some(("a", "b")));
        assert_eq!(of_version(&version(&key, 7)), Some((key.as_slice(), 7)));
        assert!(document("a", "b").unwrap() < document("a", "ba").unwrap());
        assert!(document("a", "z").unwrap() < document("aa", "a").unwrap());
        assert!(version(&key, 1) < version(&key, 256) && version(&key, u64::MAX) < document("a", "b\u{1}").unwrap());
        assert_eq!(behind(b"a\0").unwrap(), b"a\x01");
        assert_eq!(behind(&[1, 0xff]).unwrap(), [2]);
        assert_eq!(behind(&[0xff]), None);
        for (namespace, key) in [("", "a"), ("a", ""), ("a\0", "b"), ("a", "b\0"), ("a", &"x".repeat(1025))] {
            assert!(matches!(document(namespace, key), Err(MemoryError::Name { .. })));
        }
    }
}
