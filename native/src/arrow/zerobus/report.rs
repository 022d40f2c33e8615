//! What became of a batch.

use serde::Serialize;

use super::SendError;
use super::error::{Fate, RowFault};
use crate::arrow::RowError;
use crate::error::{ErrorCode, HasCode};

/// Rows in a row that did not arrive, for one reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailedRows {
    /// The number of the first in the batch.
    pub first: usize,
    /// So many.
    pub count: usize,
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub struct TransmissionResult {
    /// All rows arrived, or are in the spool.
    pub success: bool,
    /// They wait in the spool.
    pub spooled: bool,
    /// How often rows were handed to a stream.
    pub attempts: u32,
    /// From the call on.
    pub latency_ms: f64,
    /// In memory.
    pub batch_size_bytes: usize,
    /// In the batch.
    pub total_rows: usize,
    /// In order.
    pub failed: Vec<FailedRows>,
    /// Why not all arrived: the first reason.
    pub error: Option<SendError>,
}

impl TransmissionResult {
    /// Rows that did not arrive.
    pub fn failed_count(&self) -> usize {
        self.failed.iter().map(|rows| rows.count).sum()
    }

    /// Rows that did.
    pub fn successful_count(&self) -> usize {
        self.total_rows - self.failed_count()
    }
}

/// How a sender stands.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Batches that `send` took.
    pub batches: u64,
    /// Rows that arrived.
    pub rows: u64,
    /// Rows that did not, and are given up; those that fit into no batch and those that were set aside are among them.
    pub rows_failed: u64,
    /// Rows that were set aside in files on the way from the spool.
    pub rows_aside: u64,
    /// Bytes of rows that arrived.
    pub bytes: u64,
    /// Streams that failed, at opening or later.
    pub retries: u64,
    /// Streams that were opened.
    pub streams: u64,
    /// Bytes of rows in memory, on their way.
    pub in_flight_bytes: u64,
    /// Batches in the spool.
    pub spooled: u64,
    /// Bytes of the spool on disk.
    pub spool_bytes: u64,
    /// When the oldest batch of the spool came, ms since the epoch.
    pub spool_oldest_ms: Option<i64>,
    /// Batches that gave way to newer ones in the spool, and those that the disk lost or that cannot be read any more.
    pub spool_lost: u64,
    /// Why the last copy was not written.
    pub copies_error: Option<String>,
    /// The last failure, until rows arrive again.
    pub last_error: Option<String>,
}

/// A row that did not arrive.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    pub row: usize,
    pub code: ErrorCode,
    pub message: String,
    pub fate: Fate,
}

impl Lost {
    /// One error is that of many rows.
    pub(super) fn each<'a>(rows: &'a [usize], error: &SendError) -> impl Iterator<Item = Lost> + 'a {
        let (code, message, fate) = (error.code(), error.to_string(), error.fate());
        rows.iter().map(move |&row| Lost { row, code, message: message.clone(), fate })
    }
}

/// Consecutive rows with one reason become one entry.
pub(super) fn gather(mut rows: Vec<Lost>) -> Vec<FailedRows> {
    rows.sort_by_key(|lost| lost.row);
    let mut failed: Vec<FailedRows> = Vec::new();
    for Lost { row, code, message, .. } in rows {
        match failed.last_mut() {
            Some(last) if last.first + last.count == row && last.code == code && last.message == message => {
                last.count += 1;
            }
            _ => failed.push(FailedRows { first: row, count: 1, code, message }),
        }
    }
    failed
}

/// Rows that have no form in which they could travel. `own` is a row's number in the batch.
pub(super) fn unfit(errors: Vec<RowError>, own: impl Fn(usize) -> usize) -> (Vec<Lost>, Option<SendError>) {
    let told = errors.into_iter().map(|error| {
        let row = own(error.row);
        let fault = RowFault { code: error.reason.code(), message: RowError { row, ..error }.to_string() };
        (row, SendError::Unfit(fault))
    });
    let mut first = None;
    let mut lost = Vec::new();
    for (row, error) in told {
        lost.extend(Lost::each(&[row], &error));
        first.get_or_insert(error);
    }
    (lost, first)
}

/// Rows of a part that did not arrive; `rows` are its rows' numbers.
pub(super) fn lost(rows: &[usize], refused: &[(usize, usize, SendError)]) -> Vec<Lost> {
    let each = refused
        .iter()
        .flat_map(|(first, count, error)| Lost::each(rows.get(*first..first + count).unwrap_or_default(), error));
    each.collect()
}

/// The rows of a batch that are left when some are taken out.
pub(super) fn kept(rows: usize, out: &[RowError]) -> Vec<usize> {
    let mut out: Vec<usize> = out.iter().map(|error| error.row).collect();
    out.sort_unstable();
    out.dedup();
    let mut out = out.into_iter().peekable();
    (0..rows).filter(|row| out.next_if_eq(row).is_none()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrow::Reason;

    #[test]
    fn rows_of_one_reason_are_told_as_one() {
        let row =
            |row, message: &str| Lost { row, code: ErrorCode::Refused, message: message.to_owned(), fate: Fate::Aside };
        let failed = gather(vec![row(4, "b"), row(1, "a"), row(2, "a"), row(3, "b"), row(9, "b")]);
        let spans: Vec<(usize, usize)> = failed.iter().map(|it| (it.first, it.count)).collect();
        assert_eq!(spans, [(1, 2), (3, 2), (9, 1)]);
    }

    #[test]
    fn numbers_are_those_of_the_whole_batch() {
        let out = |row, reason| RowError { row, column: "x[1].y".into(), value: "null".into(), reason };
        let out = [out(3, Reason::Null), out(1, Reason::Size)];
        let rows = kept(6, &out);
        assert_eq!(rows, [0, 2, 4, 5]);
        let (told, first) = unfit(out.to_vec(), |row| row + 10);
        assert_eq!(
            told.iter().map(|it| (it.row, it.code)).collect::<Vec<_>>(),
            [(13, ErrorCode::Conversion), (11, ErrorCode::TooLarge)]
        );
        let message = "row 13, column x[1].y: null is missing, and the column takes no null";
        assert_eq!((told[0].message.as_str(), first.map(|it| it.to_string()).as_deref()), (message, Some(message)));
        let lost = lost(&rows, &[(1, 2, SendError::Rejected("no".into()))]);
        assert_eq!(lost.iter().map(|it| it.row).collect::<Vec<_>>(), [2, 4]);
    }
}
