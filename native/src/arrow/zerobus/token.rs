//! Tokens of the workspace, where its certificate is of an authority of one's own: the official client trusts the system's
//! alone there.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use databricks_zerobus_ingest_sdk::{HeadersProvider, ZerobusError};
use reqwest::{Certificate, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::SendError;
use super::config::{Problem, ZerobusConfig};

/// A token that ends so soon is not used any more.
const SPARE: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    expires_in: Value,
}

impl Answer {
    /// So long the token may be used; not at all again where that is not said in whole seconds, as a number or as text.
    fn lasts(&self) -> Duration {
        let seconds = match &self.expires_in {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        Duration::from_secs(seconds.unwrap_or(0)).saturating_sub(SPARE)
    }
}

pub(super) struct Tokens {
    http: reqwest::Client,
    url: String,
    id: String,
    secret: super::Secret,
    form: [(&'static str, String); 4],
    table: String,
    held: Mutex<Option<(String, Instant)>>,
}

impl Tokens {
    pub(super) fn new(config: &ZerobusConfig, ca: &str) -> Result<Self, SendError> {
        let http = Certificate::from_pem_bundle(ca.as_bytes()).and_then(|trusted| {
            let builder = reqwest::Client::builder().timeout(Duration::from_millis(config.connect_timeout_ms));
            trusted.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate).build()
        });
        let http = http.map_err(|_| {
            let rule = "and has to be certificates in PEM form; one cannot be read".into();
            SendError::Configuration(vec![Problem { field: "ca".into(), value: String::new(), rule }])
        })?;
        let workspace = config.endpoint.split_once("://").map_or("", |(_, host)| host).trim_end_matches('/');
        let workspace = workspace.split('.').next().unwrap_or_default();
        Ok(Tokens {
            http,
            url: format!("{}/oidc/v1/token", config.unity_catalog_url.trim_end_matches('/')),
            id: config.client_id.clone(),
            secret: config.client_secret.clone(),
            form: [
                ("grant_type", "client_credentials".into()),
                ("scope", "all-apis".into()),
                ("resource", format!("api://databricks/workspaces/{workspace}/zerobusDirectWriteApi")),
                ("authorization_details", details(&config.table)),
            ],
            table: config.table.clone(),
            held: Mutex::new(None),
        })
    }

    async fn fetch(&self) -> Result<Answer, ZerobusError> {
        let away = |error: reqwest::Error| ZerobusError::TokenFetchError(chain(&error));
        let request = self.http.post(&self.url).basic_auth(&self.id, Some(self.secret.reveal())).form(&self.form);
        let response = request.send().await.map_err(away)?;
        let status = response.status();
        let body = response.text().await.map_err(away)?;
        let said = |who| format!("{who} error ({}): {body}", status.as_u16());
        match status {
            StatusCode::OK => serde_json::from_str(&body)
                .map_err(|error| ZerobusError::InvalidUCTokenError(format!("the answer has no token: {error}"))),
            status if status.is_server_error() => Err(ZerobusError::TokenFetchError(said("Server"))),
            _ => Err(ZerobusError::InvalidUCTokenError(said("Client"))),
        }
    }
}

#[tonic::async_trait]
impl HeadersProvider for Tokens {
    async fn get_headers(&self) -> Result<HashMap<&'static str, String>, ZerobusError> {
        // One asks; who comes meanwhile takes what it got.
        let mut held = self.held.lock().await;
        let good = held.as_ref().filter(|(_, until)| Instant::now() < *until).map(|(token, _)| token.clone());
        let token = match good {
            Some(token) => token,
            None => {
                let answer = self.fetch().await?;
                let until = Instant::now().checked_add(answer.lasts());
                *held = until.map(|until| (answer.access_token.clone(), until));
                answer.access_token
            }
        };
        Ok(HashMap::from([
            ("authorization", format!("Bearer {token}")),
            ("x-databricks-zerobus-table-name", self.table.clone()),
        ]))
    }

    async fn invalidate(&self) {
        *self.held.lock().await = None;
    }
}

/// What the token is to allow.
fn details(table: &str) -> String {
    let mut names = table.splitn(3, '.');
    let catalog = names.next().unwrap_or_default();
    let schema = format!("{catalog}.{}", names.next().unwrap_or_default());
    let kind = "unity_catalog_privileges";
    json!([
        { "type": kind, "privileges": ["USE CATALOG"], "object_type": "CATALOG", "object_full_path": catalog },
        { "type": kind, "privileges": ["USE SCHEMA"], "object_type": "SCHEMA", "object_full_path": schema },
        {
            "type": kind, "privileges": ["SELECT", "MODIFY"], "object_type": "TABLE", "object_full_path": table,
            "operations": ["zerobuswrite"]
        }
    ])
    .to_string()
}

/// With its causes, which the error itself does not tell.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
