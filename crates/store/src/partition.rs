//! Which partition a room or a user belongs to, and the hash tags that spread partitions evenly
//! over the slots of a Redis Cluster.

use std::collections::BTreeMap;

/// One of the fixed partitions, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(pub u16);

/// The slots of a Redis Cluster (its specification, "Key distribution model").
pub(crate) const SLOTS: u16 = 16_384;

/// Finds for each of `count` partitions the smallest number whose text hashes into the
/// partition's share of the slots. Numbers 0, 1, 2, ... themselves fall unevenly: of 128 over 6
/// nodes one gets 27 and another 15.
#[must_use]
pub fn tags(count: u16) -> Vec<String> {
    let count = u32::from(count.max(1));
    let mut found = BTreeMap::new();
    let mut candidate = 0u32;
    while found.len() < count as usize {
        let text = candidate.to_string();
        let share = u32::from(slot(text.as_bytes())) * count / u32::from(SLOTS);
        found.entry(share).or_insert(text);
        candidate += 1;
    }
    found.into_values().collect()
}

/// The slot of a hash tag: CRC16 (XMODEM) modulo 16384, per the Redis Cluster specification.
pub(crate) fn slot(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            }
        })
    });
    crc % SLOTS
}

/// The partition of a name among `count`: FNV-1a, then the finalizer of MurmurHash3, whose high
/// bits depend on every bit before (FNV's own do not). Stable for ever, unlike the standard
/// library's hasher.
#[must_use]
pub fn of(name: &str, count: u16) -> Partition {
    let mut hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    for multiplier in [0xff51_afd7_ed55_8ccdu64, 0xc4ce_b9fe_1a85_ec53] {
        hash = (hash ^ (hash >> 33)).wrapping_mul(multiplier);
    }
    hash ^= hash >> 33;
    let share = ((hash >> 32) * u64::from(count.max(1))) >> 32;
    Partition(u16::try_from(share).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // From `CLUSTER KEYSLOT`.
        assert_eq!(slot(b"123456789"), 12_739);
        assert_eq!(slot(b"foo"), 12_182);
    }

    #[test]
    fn tags_spread_evenly_over_any_number_of_nodes() {
        let tags = tags(64);
        for nodes in [2u32, 3, 4, 6, 8] {
            let mut load = vec![0u32; nodes as usize];
            for tag in &tags {
                load[(u32::from(slot(tag.as_bytes())) * nodes / u32::from(SLOTS)) as usize] += 1;
            }
            let (least, most) = (load.iter().min().unwrap(), load.iter().max().unwrap());
            assert!(most - least <= 1, "{nodes} nodes: {load:?}");
        }
    }

    #[test]
    fn names_spread_over_partitions() {
        let mut load = [0u32; 64];
        for room in 0..6_400 {
            load[usize::from(of(&format!("room:{room}"), 64).0)] += 1;
        }
        assert!(
            load.iter().all(|count| (50..=160).contains(count)),
            "{load:?}"
        );
    }
}
