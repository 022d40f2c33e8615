//! Where the last reading ended: the next one mostly goes on there.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};

use super::LOCK;
use super::segment::{HEAD, Head, Record, Segment};

#[derive(Default)]
pub struct Cursor(Option<Place>);

struct Place {
    /// The segment, by its first record's number.
    segment: u64,
    file: BufReader<File>,
    /// Of the next record.
    offset: u64,
}

impl Cursor {
    /// Closes a segment.
    pub fn leave(&mut self, segment: &Segment) {
        self.0.take_if(|place| place.segment == segment.first);
    }

    /// A record of a segment; none when its bytes are not what was written, or no more there.
    pub fn read(&mut self, segment: &Segment, seq: u64) -> std::io::Result<Option<Record>> {
        // Taken out: an error leaves no place behind that is between two records.
        if let Some(mut place) = self.0.take().filter(|place| place.segment == segment.first)
            && let Ok(Some(record)) = place.find(segment, seq)
        {
            self.0 = Some(place);
            return Ok(Some(record));
        }
        // It lies before the place, or what the place had read ahead was not written in the end.
        self.anew(segment, seq).or_else(|error| match error.kind() {
            ErrorKind::UnexpectedEof => Ok(None),
            // Where the whole folder is away, as a disk that was taken out is, it may come back.
            ErrorKind::NotFound if segment.path.with_file_name(LOCK).exists() => Ok(None),
            _ => Err(error),
        })
    }

    fn anew(&mut self, segment: &Segment, seq: u64) -> std::io::Result<Option<Record>> {
        let mut place = Place { segment: segment.first, file: BufReader::new(File::open(&*segment.path)?), offset: 0 };
        let record = place.find(segment, seq)?;
        if record.is_some() {
            self.0 = Some(place);
        }
        Ok(record)
    }
}

impl Place {
    fn find(&mut self, segment: &Segment, seq: u64) -> std::io::Result<Option<Record>> {
        while self.offset + HEAD as u64 <= segment.bytes {
            let mut bytes = [0; HEAD];
            self.file.read_exact(&mut bytes)?;
            let Some(head) = Head::of(&bytes) else { return Ok(None) };
            let end = self.offset + (HEAD + head.len) as u64;
            if head.seq > seq || end > segment.bytes {
                return Ok(None);
            }
            self.offset = end;
            if head.seq < seq {
                self.file.seek_relative(head.len as i64)?;
                continue;
            }
            let mut data = vec![0; head.len];
            self.file.read_exact(&mut data)?;
            return Ok(head.fits(&data).then_some(Record { seq, at_ms: head.at_ms, data }));
        }
        Ok(None)
    }
}
