//! When results are over. Almost all are kept equally long, so they end in the order in which they came.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::id::Id;

#[derive(Default)]
pub(super) struct Expiries {
    in_order: VecDeque<(i64, Id)>,
    /// Those that end before one that came earlier.
    others: BinaryHeap<Reverse<(i64, Id)>>,
}

impl Expiries {
    pub fn push(&mut self, at: i64, id: Id) {
        if self.in_order.back().is_some_and(|(last, _)| at < *last) {
            self.others.push(Reverse((at, id)));
        } else {
            self.in_order.push_back((at, id));
        }
    }

    /// The one that ends first.
    pub fn peek(&self) -> Option<(i64, Id)> {
        let other = self.others.peek().map(|Reverse(it)| *it);
        self.in_order.front().copied().into_iter().chain(other).min()
    }

    pub fn pop(&mut self) {
        let first = self.peek();
        if first.is_some() && first == self.in_order.front().copied() {
            self.in_order.pop_front();
        } else {
            self.others.pop();
        }
    }

    pub fn len(&self) -> usize {
        self.in_order.len() + self.others.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_back_in_the_order_of_their_ends() {
        let mut expiries = Expiries::default();
        assert_eq!(expiries.peek(), None);
        expiries.pop();
        let times = [5, 9, 3, 9, 12, 1, 10, 12, 2];
        times.iter().zip(0..).for_each(|(&at, number)| expiries.push(at, Id([number; 16])));
        let mut found = Vec::new();
        while let Some((at, _)) = expiries.peek() {
            found.push(at);
            expiries.pop();
            assert_eq!(expiries.len() + found.len(), times.len());
        }
        assert_eq!(found, [1, 2, 3, 5, 9, 9, 10, 12, 12]);
    }
}
