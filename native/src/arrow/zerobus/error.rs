//! What can go wrong with sending, and what then becomes of the rows.

use std::sync::Arc;

use databricks_zerobus_ingest_sdk::ZerobusError;
use tonic::{Code, Status};

use super::config::{Problem, ZerobusConfig};
use crate::arrow::Fault;
use crate::error::{ErrorCode, HasCode};
use crate::spool::SpoolError;

/// What becomes of rows that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They are tried again, as often as they may be. It may go away by itself.
    Again,
    /// They are at fault: they are looked for and set aside, and the others go on.
    Aside,
    /// They are not tried again: who waits for them is told. In a spool they stay until somebody has mended it.
    End,
}

/// Why a row has no form in which it could be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RowFault {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
}

/// What can go wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// Options that cannot work.
    #[error("{}; correct the options", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Configuration(Vec<Problem>),
    /// The other side does not know us.
    #[error("Zerobus does not know us: {0}; see whether client id and secret are right, and of this workspace")]
    Authentication(String),
    /// It knows us, and does not let us write there. It says the same of a table that is not there.
    #[error(
        "Zerobus does not let us write there: {0}; see whether the table is there, and give the service principal USE \
         CATALOG, USE SCHEMA, and SELECT and MODIFY on the table itself"
    )]
    Permission(String),
    /// No token, for a reason that may go away.
    #[error("there is no token: {0}; it is tried again")]
    TokenRefresh(String),
    /// No stream.
    #[error("there is no connection to Zerobus: {0}; see whether the endpoint can be reached")]
    Connection(String),
    /// A stream that broke.
    #[error("the stream to Zerobus failed: {0}; it is tried again")]
    Transmission(String),
    /// No such table, or a service that does not have the call.
    #[error("there is nothing to send to: {0}; see whether endpoint and table are right")]
    Missing(String),
    /// A table that does not take these columns.
    #[error("the table does not take the schema: {message} ({causes}); make the columns those of the table")]
    Schema {
        /// In the words of the server.
        message: String,
        /// By its names, with commas.
        causes: String,
    },
    /// Rows that are not taken, and will not be.
    #[error("Zerobus refuses it: {0}; correct the rows, or the table")]
    Rejected(String),
    /// A message that is not taken because of its size.
    #[error("Zerobus refuses it as too large: {0}; send smaller rows")]
    TooLarge(String),
    /// A row that has no form in which it could be sent.
    #[error("{0}")]
    Unfit(RowFault),
    /// A batch that cannot be sent, or not be copied.
    #[error("{0}")]
    Batch(Arc<Fault>),
    /// Tried as often as it should.
    #[error("given up after {attempts} attempts: {last}")]
    RetryExhausted {
        /// So often it was tried.
        attempts: u32,
        /// How the last one failed.
        last: Box<SendError>,
    },
    /// The spool does not take it.
    #[error("{0}")]
    Spool(Arc<SpoolError>),
    /// It was closed.
    #[error("the Zerobus client is closed; open it again")]
    Closed,
    /// A bug.
    #[error("{0}; this is a bug, please report it with the log")]
    Internal(String),
}

impl HasCode for SendError {
    fn code(&self) -> ErrorCode {
        match self {
            SendError::Configuration(_) => ErrorCode::InvalidOption,
            SendError::Authentication(_) | SendError::Permission(_) => ErrorCode::Unauthorized,
            SendError::TokenRefresh(_) | SendError::Connection(_) | SendError::Transmission(_) => ErrorCode::Transport,
            SendError::Missing(_) | SendError::Schema { .. } | SendError::Rejected(_) => ErrorCode::Refused,
            SendError::TooLarge(_) => ErrorCode::TooLarge,
            SendError::Unfit(fault) => fault.code,
            SendError::Batch(fault) => fault.code(),
            SendError::Spool(error) => error.code(),
            SendError::RetryExhausted { last, .. } => last.code(),
            SendError::Closed => ErrorCode::Closed,
            SendError::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl SendError {
    /// The one place that says what becomes of rows that failed so: the lane and the spool's drain ask it, and
    /// `retryable` of an error in JavaScript is true for what is `Again` here, and for nothing else.
    pub fn fate(&self) -> Fate {
        match self {
            SendError::TokenRefresh(_) | SendError::Connection(_) | SendError::Transmission(_) => Fate::Again,
            SendError::Schema { .. } | SendError::Rejected(_) | SendError::TooLarge(_) | SendError::Unfit(_) => {
                Fate::Aside
            }
            SendError::Configuration(_)
            | SendError::Authentication(_)
            | SendError::Permission(_)
            | SendError::Missing(_)
            | SendError::Closed
            | SendError::Internal(_) => Fate::End,
            // For whoever tries it later than this.
            SendError::RetryExhausted { last, .. } => last.fate(),
            SendError::Batch(fault) => match &**fault {
                Fault::Schema { .. }
                | Fault::Ipc(_)
                | Fault::TooLarge { .. }
                | Fault::Conversion(_)
                | Fault::OtherSchema { .. } => Fate::Aside,
                Fault::Locked(..) | Fault::DiskFull(_) => Fate::Again,
                Fault::File { .. } | Fault::Internal(_) => Fate::End,
            },
            SendError::Spool(error) => match &**error {
                SpoolError::Locked(_) | SpoolError::Full { .. } | SpoolError::DiskFull(_) => Fate::Again,
                SpoolError::TooLarge(..) => Fate::Aside,
                SpoolError::Failed { .. } => Fate::End,
            },
        }
    }

    /// For a person, and for programs that want more than the code.
    pub fn kind(&self) -> &'static str {
        match self {
            SendError::Configuration(_) => "configuration",
            SendError::Authentication(_) => "authentication",
            SendError::Permission(_) => "permission",
            SendError::TokenRefresh(_) => "token-refresh",
            SendError::Connection(_) => "connection",
            SendError::Transmission(_) => "transmission",
            SendError::Missing(_) => "missing",
            SendError::Schema { .. } => "schema",
            SendError::Rejected(_) => "rejected",
            SendError::TooLarge(_) => "too-large",
            SendError::Unfit(_) | SendError::Batch(_) => "conversion",
            SendError::RetryExhausted { .. } => "retry-exhausted",
            SendError::Spool(_) => "spool",
            SendError::Closed => "closed",
            SendError::Internal(_) => "internal",
        }
    }

    /// What the official client says, without our secret.
    pub(super) fn of(error: &ZerobusError, config: &ZerobusConfig) -> Self {
        let said = |text: &str| config.hide(text);
        match error {
            ZerobusError::CreateStreamError(status) => of_status(status, true, config),
            ZerobusError::StreamClosedError(status) => of_status(status, false, config),
            ZerobusError::InvalidSchema { message, causes, .. } => {
                let causes: Vec<String> = causes.iter().map(|cause| format!("{cause:?}")).collect();
                SendError::Schema { message: said(message), causes: causes.join(", ") }
            }
            ZerobusError::InvalidUCTokenError(text) => of_token(text, said(text), config),
            ZerobusError::TokenFetchError(text) => SendError::TokenRefresh(said(text)),
            ZerobusError::ChannelCreationError(_)
            | ZerobusError::FailedToEstablishTlsConnectionError
            | ZerobusError::ConnectionTimeout(_) => SendError::Connection(said(&error.to_string())),
            ZerobusError::UnexpectedStreamResponseError(text) => SendError::Transmission(said(text)),
            // A claim of more rows than were sent, or an acknowledgement that makes no sense: the stream is of no use.
            ZerobusError::InvalidStateError(text) => SendError::Transmission(said(text)),
            ZerobusError::InvalidArgument(text) if is_about_size(text) => SendError::TooLarge(said(text)),
            ZerobusError::InvalidArgument(text) => SendError::Rejected(said(text)),
            ZerobusError::InvalidZerobusEndpointError(text) => of_option("endpoint", &config.endpoint, said(text)),
            ZerobusError::InvalidUCEndpointError(text) => {
                of_option("unityCatalogUrl", &config.unity_catalog_url, said(text))
            }
            ZerobusError::InvalidTableName(text) => of_option("table", &config.table, said(text)),
            // Nobody knows yet what it is: no row is given up for it.
            other => SendError::Internal(said(&other.to_string())),
        }
    }
}

/// What we let through, and the official client does not.
fn of_option(field: &'static str, value: &str, said: String) -> SendError {
    let rule = format!("which is refused: {said}").into();
    SendError::Configuration(vec![Problem { field: field.into(), value: value.to_owned(), rule }])
}

/// What the token endpoint answers. It has 401 for a wrong secret and for missing grants: what tells is OAuth's own name.
fn of_token(answer: &str, said: String, config: &ZerobusConfig) -> SendError {
    let is = |status: u16| answer.starts_with(&format!("Client error ({status})"));
    let named = |name: &str| answer.contains(name);
    if is(408) || is(429) {
        SendError::TokenRefresh(said)
    } else if is_page(answer) {
        // Not of a workspace: another host, or a proxy before it.
        of_option("unityCatalogUrl", &config.unity_catalog_url, "it answers with a web page".into())
    } else if is(404) {
        of_option("unityCatalogUrl", &config.unity_catalog_url, said)
    } else if is(403) || named("invalid_authorization_details") || named("access_denied") {
        SendError::Permission(said)
    } else {
        SendError::Authentication(said)
    }
}

fn is_page(answer: &str) -> bool {
    let answer = answer.to_ascii_lowercase();
    answer.contains("<html") || answer.contains("<!doctype")
}

fn of_status(status: &Status, opening: bool, config: &ZerobusConfig) -> SendError {
    let text = config.hide(status.message());
    let text = if text.is_empty() { status.code().description().to_owned() } else { text };
    match status.code() {
        Code::Unauthenticated => SendError::Authentication(text),
        Code::PermissionDenied => SendError::Permission(text),
        // Of a message, whichever library the server is made with; a quota has the same code and another text.
        Code::ResourceExhausted | Code::OutOfRange | Code::InvalidArgument if is_about_size(&text) => {
            SendError::TooLarge(text)
        }
        Code::NotFound | Code::Unimplemented => SendError::Missing(text),
        Code::InvalidArgument | Code::OutOfRange => SendError::Rejected(text),
        _ if opening => SendError::Connection(text),
        _ => SendError::Transmission(text),
    }
}

/// A quota is exceeded, too, and a rate too large: what is meant here is said of one thing that was sent.
fn is_about_size(text: &str) -> bool {
    const SENT: [&str; 7] = ["message", "payload", "record", "row", "batch", "entity", "body"];
    const SAID: [&str; 10] = [
        "larger than max",
        "too large",
        "is too large",
        "length too large",
        "size exceeds",
        "length exceeds",
        "exceeds maximum size",
        "exceeds the maximum size",
        "exceeds the maximum allowed size",
        "exceeds the maximum configured message size",
    ];
    let text = text.to_ascii_lowercase();
    SENT.iter().any(|sent| SAID.iter().any(|said| text.contains(&format!("{sent} {said}"))))
}

impl From<Fault> for SendError {
    fn from(fault: Fault) -> Self {
        SendError::Batch(Arc::new(fault))
    }
}

impl From<SpoolError> for SendError {
    fn from(error: SpoolError) -> Self {
        SendError::Spool(Arc::new(error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_what_becomes_of_the_rows() {
        let config = ZerobusConfig { client_secret: "hush".into(), ..ZerobusConfig::default() };
        let closed = |code, text| SendError::of(&ZerobusError::StreamClosedError(Status::new(code, text)), &config);
        for (code, text, kind, fate) in [
            (Code::Unavailable, "", "transmission", Fate::Again),
            (Code::Internal, "", "transmission", Fate::Again),
            (Code::ResourceExhausted, "quota", "transmission", Fate::Again),
            (Code::ResourceExhausted, "Received message larger than max (9 vs. 4)", "too-large", Fate::Aside),
            (Code::OutOfRange, "decoded message length too large", "too-large", Fate::Aside),
            (Code::ResourceExhausted, "gRPC message exceeds maximum size 4194304: 5000000", "too-large", Fate::Aside),
            (Code::InvalidArgument, "Record size exceeds the maximum of 10 MB", "too-large", Fate::Aside),
            (Code::ResourceExhausted, "exceeds the maximum number of requests", "transmission", Fate::Again),
            (Code::ResourceExhausted, "this message exceeds the maximum per second", "transmission", Fate::Again),
            (Code::ResourceExhausted, "Request rate is too large", "transmission", Fate::Again),
            (Code::InvalidArgument, "no", "rejected", Fate::Aside),
            (Code::NotFound, "no table", "missing", Fate::End),
            (Code::Unauthenticated, "hush", "authentication", Fate::End),
            (Code::PermissionDenied, "no", "permission", Fate::End),
        ] {
            let error = closed(code, text);
            assert_eq!((error.kind(), error.fate()), (kind, fate), "{code} {text}");
            assert!(!error.to_string().contains("hush"));
        }
        let of = |error| SendError::of(&error, &config).kind();
        assert_eq!(of(ZerobusError::InvalidArgument("Ingest payload too large: 9 bytes".into())), "too-large");
        assert_eq!(of(ZerobusError::InvalidArgument("no".into())), "rejected");
        for (answer, kind) in [
            ("access_token missing", "authentication"),
            (r#"Client error (401): {"error":"invalid_client"}"#, "authentication"),
            (r#"Client error (401): {"error":"invalid_authorization_details"}"#, "permission"),
            (r#"Client error (400): {"error":"access_denied"}"#, "permission"),
            ("Client error (403): no", "permission"),
            ("Client error (429): later", "token-refresh"),
            ("Client error (404): nothing here", "configuration"),
            ("access_token missing in <!DOCTYPE html><p>Welcome", "configuration"),
        ] {
            assert_eq!(of(ZerobusError::InvalidUCTokenError(answer.into())), kind, "{answer}");
        }
        assert_eq!(of(ZerobusError::TokenFetchError("away".into())), "token-refresh");
        assert_eq!(of(ZerobusError::ConnectionTimeout("away".into())), "connection");
        assert_eq!(of(ZerobusError::FailedToEstablishTlsConnectionError), "connection");
        assert_eq!(of(ZerobusError::InvalidStateError("odd".into())), "transmission");
        assert_eq!(of(ZerobusError::UnexpectedStreamResponseError("odd".into())), "transmission");
        // What the client alone says is not the rows' fault.
        for (error, field) in [
            (ZerobusError::InvalidZerobusEndpointError("no".into()), "endpoint"),
            (ZerobusError::InvalidUCEndpointError("no".into()), "unityCatalogUrl"),
            (ZerobusError::InvalidTableName("no".into()), "table"),
        ] {
            let error = SendError::of(&error, &config);
            let SendError::Configuration(problems) = &error else { panic!("{error}") };
            assert_eq!((&*problems[0].field, error.fate()), (field, Fate::End));
        }
        let opening = ZerobusError::CreateStreamError(Status::unavailable("away"));
        assert_eq!(SendError::of(&opening, &config).kind(), "connection");
    }

    #[test]
    fn each_has_its_code_and_its_fate_and_javascript_agrees() {
        let exhausted = |last: SendError| SendError::RetryExhausted { attempts: 5, last: Box::new(last) };
        let text = String::new;
        let folder = || std::path::PathBuf::from("there");
        let schema = SendError::Schema { message: text(), causes: "FieldNotInTable".into() };
        let row = |code| SendError::Unfit(RowFault { code, message: text() });
        let table: [(SendError, ErrorCode, &str, Fate); 31] = [
            (SendError::Configuration(Vec::new()), ErrorCode::InvalidOption, "configuration", Fate::End),
            (SendError::Authentication(text()), ErrorCode::Unauthorized, "authentication", Fate::End),
            (SendError::Permission(text()), ErrorCode::Unauthorized, "permission", Fate::End),
            (SendError::TokenRefresh(text()), ErrorCode::Transport, "token-refresh", Fate::Again),
            (SendError::Connection(text()), ErrorCode::Transport, "connection", Fate::Again),
            (SendError::Transmission(text()), ErrorCode::Transport, "transmission", Fate::Again),
            (SendError::Missing(text()), ErrorCode::Refused, "missing", Fate::End),
            (schema, ErrorCode::Refused, "schema", Fate::Aside),
            (SendError::Rejected(text()), ErrorCode::Refused, "rejected", Fate::Aside),
            (SendError::TooLarge(text()), ErrorCode::TooLarge, "too-large", Fate::Aside),
            (row(ErrorCode::Conversion), ErrorCode::Conversion, "conversion", Fate::Aside),
            (row(ErrorCode::TooLarge), ErrorCode::TooLarge, "conversion", Fate::Aside),
            (Fault::schema("a", "b").into(), ErrorCode::InvalidOption, "conversion", Fate::Aside),
            (Fault::ipc(&"").into(), ErrorCode::InvalidInput, "conversion", Fate::Aside),
            (Fault::TooLarge { what: "", size: 2, limit: 1 }.into(), ErrorCode::TooLarge, "conversion", Fate::Aside),
            (Fault::Conversion(text()).into(), ErrorCode::Conversion, "conversion", Fate::Aside),
            (
                Fault::OtherSchema { found: text(), wanted: text() }.into(),
                ErrorCode::Conversion,
                "conversion",
                Fate::Aside,
            ),
            (Fault::Locked(folder(), text()).into(), ErrorCode::StoreLocked, "conversion", Fate::Again),
            (Fault::DiskFull(folder()).into(), ErrorCode::DiskFull, "conversion", Fate::Again),
            (Fault::File { path: folder(), reason: text() }.into(), ErrorCode::StoreFailed, "conversion", Fate::End),
            (Fault::Internal(text()).into(), ErrorCode::Internal, "conversion", Fate::End),
            (SpoolError::Locked(folder()).into(), ErrorCode::StoreLocked, "spool", Fate::Again),
            (SpoolError::Full { path: folder(), held: 1, max: 1 }.into(), ErrorCode::BufferFull, "spool", Fate::Again),
            (SpoolError::TooLarge(2, 1).into(), ErrorCode::TooLarge, "spool", Fate::Aside),
            (SpoolError::DiskFull(folder()).into(), ErrorCode::DiskFull, "spool", Fate::Again),
            (SpoolError::Failed { path: folder(), reason: text() }.into(), ErrorCode::StoreFailed, "spool", Fate::End),
            (exhausted(SendError::Transmission(text())), ErrorCode::Transport, "retry-exhausted", Fate::Again),
            (exhausted(SendError::Connection(text())), ErrorCode::Transport, "retry-exhausted", Fate::Again),
            (exhausted(SendError::TokenRefresh(text())), ErrorCode::Transport, "retry-exhausted", Fate::Again),
            (SendError::Closed, ErrorCode::Closed, "closed", Fate::End),
            (SendError::Internal(text()), ErrorCode::Internal, "internal", Fate::End),
        ];
        let javascript = include_str!("../../../../nodes/shared/errors.ts");
        for (error, code, kind, fate) in table {
            assert_eq!((error.code(), error.kind(), error.fate()), (code, kind, fate), "{error}");
            let name = serde_json::to_string(&code).unwrap();
            let line = format!("  {}: {},", name.trim_matches('"'), fate == Fate::Again);
            assert!(javascript.lines().any(|it| it == line), "nodes/shared/errors.ts has no line '{line}'");
        }
    }
}
