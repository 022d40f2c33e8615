//! One order from several: by scores or by ranks, and with variety.

use std::collections::HashMap;

use super::Hit;

/// How findings are brought together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fusion {
    /// The sum of the scores, each list's brought to deviation 1. What a list has not got, counts as one deviation
    /// less than its last: a list of one says something, too.
    ZSum,
    /// The sum of `1 / (constant + rank)`: scores do not count.
    Rrf {
        /// The larger, the less the first ranks stand out; 60 is usual.
        constant: f32,
    },
}

/// One list from several, best first. Each is ordered best first, more is better, and has a weight.
pub fn fuse(lists: &[(f32, &[Hit])], fusion: Fusion) -> Vec<Hit> {
    let mut sums: HashMap<u32, f32> = HashMap::new();
    for &(weight, hits) in lists {
        let count = hits.len().max(1) as f32;
        let mean = hits.iter().map(|hit| hit.score).sum::<f32>() / count;
        let spread = (hits.iter().map(|hit| (hit.score - mean).powi(2)).sum::<f32>() / count).sqrt().max(1e-9);
        let z = |score: f32| (score - mean) / spread;
        let last = hits.last().map_or(0.0, |hit| z(hit.score));
        for (rank, hit) in hits.iter().enumerate() {
            *sums.entry(hit.id).or_default() += weight
                * match fusion {
                    // Above those that are not in the list.
                    Fusion::ZSum => z(hit.score) - last + 1.0,
                    Fusion::Rrf { constant } => 1.0 / (constant + rank as f32 + 1.0),
                };
        }
    }
    let mut fused: Vec<Hit> = sums.into_iter().map(|(id, score)| Hit { id, score }).collect();
    fused.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    fused
}

/// The places of `k` findings that fit and do not say the same again (maximal marginal relevance): each next one has the most of
/// `balance * relevance - (1 - balance) * likeness` to any that was taken. Vectors have length 1.
pub fn mmr(relevance: &[f32], vectors: &[Vec<f32>], balance: f32, k: usize) -> Vec<usize> {
    let mut likeness = vec![f32::NEG_INFINITY; relevance.len()];
    let mut left: Vec<usize> = (0..relevance.len().min(vectors.len())).collect();
    let mut taken = Vec::new();
    while taken.len() < k && !left.is_empty() {
        let worth = |place: usize| {
            let like = if taken.is_empty() { 0.0 } else { likeness[place] };
            balance * relevance[place] - (1.0 - balance) * like
        };
        let best = (0..left.len()).max_by(|&a, &b| worth(left[a]).total_cmp(&worth(left[b])).then(b.cmp(&a)));
        let Some(best) = best else { break };
        let chosen = left.remove(best);
        taken.push(chosen);
        for &place in &left {
            let dot = vectors[place].iter().zip(&vectors[chosen]).map(|(a, b)| a * b).sum();
            likeness[place] = likeness[place].max(dot);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(scores: &[(u32, f32)]) -> Vec<Hit> {
        scores.iter().map(|&(id, score)| Hit { id, score }).collect()
    }

    fn ids(hits: &[Hit]) -> Vec<u32> {
        hits.iter().map(|hit| hit.id).collect()
    }

    #[test]
    fn scores_count_in_one_and_ranks_in_the_other() {
        // The first list is sure of 1; the second prefers 2 by a little.
        let (sure, unsure) = (hits(&[(1, 9.0), (2, 1.0), (3, 0.9)]), hits(&[(2, 0.51), (3, 0.5), (1, 0.49)]));
        let lists = [(1.0, &sure[..]), (0.5, &unsure[..])];
        assert_eq!(ids(&fuse(&lists, Fusion::ZSum)), [1, 2, 3]);
        let even = [(1.0, &sure[..]), (1.0, &unsure[..])];
        assert_eq!(ids(&fuse(&even, Fusion::Rrf { constant: 60.0 })), [2, 1, 3]);
        // What only one list has got is there, too; a list of one, or of equals, moves nothing by its spread.
        let alone = hits(&[(7, 3.0)]);
        let fused = fuse(&[(1.0, &sure), (1.0, &alone)], Fusion::ZSum);
        assert_eq!(ids(&fused).len(), 4);
        assert!(fused.iter().all(|hit| hit.score.is_finite()));
        assert_eq!(fuse(&[(1.0, &[])], Fusion::ZSum), []);
    }

    #[test]
    fn the_same_again_comes_later() {
        let vectors = [vec![1.0, 0.0], vec![0.999, 0.045], vec![0.0, 1.0]];
        let relevance = [0.9, 0.89, 0.5];
        assert_eq!(mmr(&relevance, &vectors, 0.5, 3), [0, 2, 1]);
        assert_eq!(mmr(&relevance, &vectors, 1.0, 2), [0, 1]);
        assert_eq!(mmr(&[], &[], 0.5, 2), [0; 0]);
    }
}
