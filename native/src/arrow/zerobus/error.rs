//! What can go wrong with sending, and which of it may go away by itself.

use databricks_zerobus_ingest_sdk::ZerobusError;
use tonic::{Code, Status};

use super::config::{Problem, ZerobusConfig};
use crate::arrow::Fault;
use crate::error::{ErrorCode, HasCode};
use crate::spool::SpoolError;

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
    /// What is in a batch cannot be sent.
    #[error("{message}")]
    Conversion {
        /// Of the conversion.
        code: ErrorCode,
        /// In its words.
        message: String,
    },
    /// Tried as often as it should.
    #[error("given up after {attempts} attempts: {last}")]
    RetryExhausted {
        /// So often it was tried.
        attempts: u32,
        /// How the last one failed.
        last: Box<SendError>,
    },
    /// The spool does not take it.
    #[error("{message}")]
    Spool {
        /// Of the spool.
        code: ErrorCode,
        /// In its words.
        message: String,
    },
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
            SendError::Conversion { code, .. } | SendError::Spool { code, .. } => *code,
            SendError::RetryExhausted { last, .. } => last.code(),
            SendError::Closed => ErrorCode::Closed,
            SendError::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl SendError {
    /// Whether the same may go well when it is tried again.
    pub fn is_retryable(&self) -> bool {
        match self {
            SendError::TokenRefresh(_) | SendError::Connection(_) | SendError::Transmission(_) => true,
            SendError::Configuration(_)
            | SendError::Authentication(_)
            | SendError::Permission(_)
            | SendError::Missing(_)
            | SendError::Schema { .. }
            | SendError::Rejected(_)
            | SendError::TooLarge(_)
            | SendError::Conversion { .. }
            | SendError::RetryExhausted { .. }
            | SendError::Spool { .. }
            | SendError::Closed
            | SendError::Internal(_) => false,
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
            SendError::Conversion { .. } => "conversion",
            SendError::RetryExhausted { .. } => "retry-exhausted",
            SendError::Spool { .. } => "spool",
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
            ZerobusError::InvalidUCTokenError(text) => of_token(text, said(text)),
            ZerobusError::TokenFetchError(text) => SendError::TokenRefresh(said(text)),
            ZerobusError::ChannelCreationError(_)
            | ZerobusError::FailedToEstablishTlsConnectionError
            | ZerobusError::ConnectionTimeout(_) => SendError::Connection(said(&error.to_string())),
            ZerobusError::UnexpectedStreamResponseError(text) => SendError::Transmission(said(text)),
            // A claim of more rows than were sent, or an acknowledgement that makes no sense: the stream is of no use.
            ZerobusError::InvalidStateError(text) => SendError::Transmission(said(text)),
            ZerobusError::InvalidArgument(text) if is_about_size(text) => SendError::TooLarge(said(text)),
            ZerobusError::InvalidArgument(text) => SendError::Rejected(said(text)),
            other => SendError::Rejected(said(&other.to_string())),
        }
    }
}

/// What the token endpoint answers. It has 401 for a wrong secret and for missing grants: what tells is OAuth's own name.
fn of_token(answer: &str, said: String) -> SendError {
    let is = |status: u16| answer.starts_with(&format!("Client error ({status})"));
    let named = |name: &str| answer.contains(name);
    if is(408) || is(429) {
        SendError::TokenRefresh(said)
    } else if is(403) || named("invalid_authorization_details") || named("access_denied") {
        SendError::Permission(said)
    } else {
        SendError::Authentication(said)
    }
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

fn is_about_size(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["larger than max", "too large", "exceeds maximum size", "exceeds the maximum"].iter().any(|it| text.contains(it))
}

impl From<Fault> for SendError {
    fn from(fault: Fault) -> Self {
        SendError::Conversion { code: fault.code(), message: fault.to_string() }
    }
}

impl From<SpoolError> for SendError {
    fn from(error: SpoolError) -> Self {
        SendError::Spool { code: error.code(), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_it_is_worth_a_second_attempt() {
        let config = ZerobusConfig { client_secret: "hush".into(), ..ZerobusConfig::default() };
        let closed = |code, text| SendError::of(&ZerobusError::StreamClosedError(Status::new(code, text)), &config);
        for (code, text, kind, retryable) in [
            (Code::Unavailable, "", "transmission", true),
            (Code::Internal, "", "transmission", true),
            (Code::ResourceExhausted, "quota", "transmission", true),
            (Code::ResourceExhausted, "Received message larger than max (9 vs. 4)", "too-large", false),
            (Code::OutOfRange, "decoded message length too large", "too-large", false),
            (Code::InvalidArgument, "no", "rejected", false),
            (Code::NotFound, "no table", "missing", false),
            (Code::Unauthenticated, "hush", "authentication", false),
            (Code::PermissionDenied, "no", "permission", false),
        ] {
            let error = closed(code, text);
            assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{code} {text}");
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
        ] {
            assert_eq!(of(ZerobusError::InvalidUCTokenError(answer.into())), kind, "{answer}");
        }
        assert_eq!(of(ZerobusError::TokenFetchError("away".into())), "token-refresh");
        assert_eq!(of(ZerobusError::ConnectionTimeout("away".into())), "connection");
        assert_eq!(of(ZerobusError::FailedToEstablishTlsConnectionError), "connection");
        assert_eq!(of(ZerobusError::InvalidStateError("odd".into())), "transmission");
        assert_eq!(of(ZerobusError::UnexpectedStreamResponseError("odd".into())), "transmission");
        let opening = ZerobusError::CreateStreamError(Status::unavailable("away"));
        assert_eq!(SendError::of(&opening, &config).kind(), "connection");
    }
    #[test]
    fn each_has_the_code_of_its_cause() {
        let exhausted = SendError::RetryExhausted { attempts: 5, last: Box::new(SendError::TooLarge("big".into())) };
        let schema = SendError::Schema { message: "no".into(), causes: "FieldNotInTable".into() };
        for (error, code, kind) in [
            (exhausted, ErrorCode::TooLarge, "retry-exhausted"),
            (schema, ErrorCode::Refused, "schema"),
            (SendError::TokenRefresh("away".into()), ErrorCode::Transport, "token-refresh"),
            (SendError::Permission("no".into()), ErrorCode::Unauthorized, "permission"),
            (SendError::Closed, ErrorCode::Closed, "closed"),
            (SendError::Internal("odd".into()), ErrorCode::Internal, "internal"),
        ] {
            assert_eq!((error.code(), error.kind()), (code, kind));
            assert_eq!(error.is_retryable(), kind == "token-refresh");
        }
    }
}
