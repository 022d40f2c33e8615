//! Rows, as they were packed, to a record batch. A row that does not fit is left out and told of; the others stay.

use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{FieldRef, SchemaRef};
use arrow_select::filter::filter_record_batch;

use super::column::{Column, Problem, Unknown};
use super::fault::{Fault, Reason, RowError};
use super::value::Reader;

/// How a row begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Its values follow, in the order of the columns.
    Plain,
    /// So do its values; then a string, the name of a column that the schema does not have.
    Strange,
    /// It is no object. Nothing follows.
    Odd,
}

impl RowKind {
    /// All, in the order of their numbers.
    pub const ALL: [(RowKind, &'static str); 3] =
        [(RowKind::Plain, "plain"), (RowKind::Strange, "strange"), (RowKind::Odd, "odd")];
}

/// The batch of the rows that fit, and the others' errors, in order; one a row.
pub fn convert<'a>(
    schema: &SchemaRef,
    rows: usize,
    reader: &mut Reader<'a>,
    unknown: Unknown,
) -> Result<(RecordBatch, Vec<RowError>), Fault> {
    let fields = schema.fields();
    let mut columns = fields.iter().map(|field| Column::new(field, unknown)).collect::<Result<Vec<_>, _>>()?;
    let mut last: Vec<&'a str> = vec![""; fields.len()];
    let mut errors: Vec<RowError> = Vec::new();
    for row in 0..rows {
        let number = reader.byte()?;
        let kind = RowKind::ALL.get(number as usize).map(|(kind, _)| *kind);
        let kind = kind.ok_or_else(|| Fault::Internal(format!("packed row {row} begins with {number}")))?;
        if kind == RowKind::Odd {
            columns.iter_mut().for_each(Column::skip);
            errors.push(RowError { row, column: String::new(), value: String::new(), reason: Reason::Kind });
            continue;
        }
        let mut problem: Option<(&str, Problem)> = None;
        for ((field, column), last) in fields.iter().zip(&mut columns).zip(&mut last) {
            if let Err(refused) = column.next(reader.next(last)?) {
                problem.get_or_insert((field.name(), refused));
            }
        }
        let strange = if kind == RowKind::Strange { Some(reader.string()?) } else { None };
        if let Some(name) = strange.filter(|_| unknown == Unknown::Refuse) {
            problem.get_or_insert((name, Reason::UnknownColumn.into()));
        }
        if let Some((name, Problem { path, reason })) = problem {
            errors.push(RowError { row, column: format!("{name}{path}"), value: String::new(), reason });
        }
    }
    if !reader.is_empty() {
        return Err(Fault::Internal("packed rows go on behind the last one".into()));
    }
    let finish =
        |(field, column): (&FieldRef, &mut Column)| column.finish().map_err(|fault| fault.in_column(field.name()));
    let arrays = fields.iter().zip(&mut columns).map(finish).collect::<Result<Vec<_>, _>>()?;
    let count = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &count).and_then(|batch| {
        if errors.is_empty() { Ok(batch) } else { filter_record_batch(&batch, &good(rows, &errors)) }
    });
    Ok((batch.map_err(|error| Fault::Internal(error.to_string()))?, errors))
}

fn good(rows: usize, errors: &[RowError]) -> BooleanArray {
    let mut good = vec![true; rows];
    for error in errors {
        good[error.row] = false;
    }
    good.into()
}
