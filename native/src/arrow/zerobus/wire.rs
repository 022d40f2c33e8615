//! One stream of the official client, of either kind. It does not come back by itself: what is sent again, and when, is
//! the lane's to say.

use std::sync::Arc;

use databricks_zerobus_ingest_sdk::{
    JsonString, ProtoBytes, ZerobusArrowStream, ZerobusError, ZerobusSdk, ZerobusStream,
};
use prost::Message;
use tonic::{Code, Status};

use super::SendError;
use super::config::{Delivery, ZerobusConfig};
use super::payload::{Payload, Shape};
use super::tls::OwnCa;
use super::token::Tokens;
use crate::arrow::Compression;

/// Longer than any stream lives: the client counts from the hand-over of rows, the lane from the last that arrived.
const NEVER_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// So long a stream that is ended waits for what is still to be acknowledged.
const LAST_WORDS_MS: u64 = 100;
/// More messages than a lane has under way.
const MAX_MESSAGES: usize = 4096;

/// A client, and its token.
pub(super) struct Access {
    sdk: ZerobusSdk,
    /// Where the client does not keep it itself.
    tokens: Option<Arc<Tokens>>,
}

/// Nothing is opened yet.
pub(super) fn client(config: &ZerobusConfig) -> Result<Access, SendError> {
    let builder = ZerobusSdk::builder()
        .endpoint(config.endpoint.trim_end_matches('/'))
        .unity_catalog_url(config.unity_catalog_url.trim_end_matches('/'))
        .application_name(concat!("millrace/", env!("CARGO_PKG_VERSION")));
    let (builder, tokens) = match &config.ca {
        Some(ca) => {
            let tokens = Arc::new(Tokens::new(config, ca)?);
            (builder.tls_config(Arc::new(OwnCa(ca.clone()))), Some(tokens))
        }
        None => (builder, None),
    };
    let sdk = builder.build().map_err(|error| SendError::of(&error, config))?;
    Ok(Access { sdk, tokens })
}

/// An open stream.
pub(super) enum Wire {
    Flight(Box<ZerobusArrowStream>),
    Records(Box<ZerobusStream>),
}

impl Wire {
    pub(super) async fn open(access: &Access, config: &ZerobusConfig, shape: &Shape) -> Result<Self, ZerobusError> {
        let builder = access.sdk.stream_builder().table(&config.table);
        let builder = match &access.tokens {
            Some(tokens) => builder.headers_provider(tokens.clone()),
            None => builder.oauth(&config.client_id, config.client_secret.reveal()),
        };
        let builder = builder
            .recovery(false)
            .recovery_timeout_ms(config.connect_timeout_ms)
            .server_lack_of_ack_timeout_ms(NEVER_MS)
            .flush_timeout_ms(LAST_WORDS_MS);
        match config.delivery {
            Delivery::Flight => {
                let compression = match config.compression {
                    Compression::None => None,
                    Compression::Lz4 => Some(arrow_ipc::CompressionType::LZ4_FRAME),
                    Compression::Zstd => Some(arrow_ipc::CompressionType::ZSTD),
                };
                let builder = builder.connection_timeout_ms(config.connect_timeout_ms);
                let builder = builder.max_inflight_batches(MAX_MESSAGES).ipc_compression(compression);
                builder.arrow(shape.schema.clone()).build_arrow().await.map(|stream| Wire::Flight(Box::new(stream)))
            }
            Delivery::Protobuf => {
                let bytes = shape.descriptor.as_ref().map_or(&[][..], |descriptor| descriptor.bytes());
                let descriptor = prost_types::DescriptorProto::decode(bytes)
                    .map_err(|error| ZerobusError::InvalidArgument(error.to_string()))?;
                builder.compiled_proto(descriptor).build().await.map(|stream| Wire::Records(Box::new(stream)))
            }
            Delivery::Json => builder.json().build().await.map(|stream| Wire::Records(Box::new(stream))),
        }
    }

    /// Hands rows over; the number to wait for.
    pub(super) async fn put(&self, payload: Payload) -> Result<i64, ZerobusError> {
        match (self, payload) {
            (Wire::Flight(stream), Payload::Flight(batch)) => stream.ingest_batch(batch).await,
            (Wire::Records(stream), Payload::Protobuf(records)) => {
                let offset = stream.ingest_records_offset(records.into_iter().map(ProtoBytes)).await?;
                Ok(offset.unwrap_or_default())
            }
            (Wire::Records(stream), Payload::Json(records)) => {
                let offset = stream.ingest_records_offset(records.into_iter().map(JsonString)).await?;
                Ok(offset.unwrap_or_default())
            }
            _ => Err(ZerobusError::InvalidArgument("rows and stream are of different forms".into())),
        }
    }

    /// Resolves when the rows of this number are acknowledged.
    pub(super) async fn acknowledged(&self, offset: i64) -> Result<(), ZerobusError> {
        loop {
            let (waited, closed) = match self {
                Wire::Flight(stream) => (stream.wait_for_offset(offset).await, stream.is_closed()),
                Wire::Records(stream) => (stream.wait_for_offset(offset).await, stream.is_closed()),
            };
            match waited {
                // It waits no longer than for the last words.
                Err(ZerobusError::StreamClosedError(status)) if !closed && is_impatience(&status) => {}
                waited => return waited,
            }
        }
    }

    /// Ends the stream. For each payload that is not acknowledged as a whole, the rows that are not, in order. May be called again where it was
    /// left.
    pub(super) async fn end(&mut self) -> Result<Vec<usize>, ZerobusError> {
        match self {
            Wire::Flight(stream) => {
                // How it ends was told by the wait.
                let _ = stream.close().await;
                Ok(stream.get_unacked_batches().await?.iter().map(|batch| batch.num_rows()).collect())
            }
            Wire::Records(stream) => {
                let _ = stream.close().await;
                Ok(stream.get_unacked_batches().await?.into_iter().map(|batch| batch.into_iter().count()).collect())
            }
        }
    }
}

/// The client's own timeout of a wait, which says nothing of the stream.
fn is_impatience(status: &Status) -> bool {
    status.code() == Code::DeadlineExceeded && status.message().ends_with("timed out")
}
