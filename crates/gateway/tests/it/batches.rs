//! Files and batches through a real gateway: what callers see of them. What is shared by the tests of batches is here.

use crate::client::{Answer, Client, whole};
use crate::engine::Received;
use crate::site::Site;
use bytes::Bytes;
use hermetic_content_store::ContentKey;
use hermetic_gateway::{BatchOptions, Batches, GatewayParts};
use hermetic_identity::{CertificateRules, Identity, Keys, ThrottleOptions};
use hermetic_metadata::Metadata;
use hermetic_policy::{Authorizer, Levels, Policies, PolicyFile};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const POLICY: &str = r#"
@id("all-may-infer") permit (principal, action in Action::"infer", resource);
@id("all-may-batch") permit (principal, action == Action::"batch", resource)
  unless { principal in Project::"small" };
@id("not-the-secret-model") forbid (principal, action, resource) when { resource.name == "secret-model" };
@id("not-in-batches") forbid (principal, action == Action::"batch", resource) when { resource.name == "renamed" };
"#;

pub(crate) fn policies() -> Arc<Authorizer> {
    let policy = PolicyFile { name: "test.cedar".to_owned(), text: POLICY.to_owned() };
    Arc::new(Authorizer::new(Policies::load(&[policy], &Levels::default()).unwrap()))
}

pub(crate) fn open(folder: &Path, metadata: Metadata, options: BatchOptions) -> Batches {
    let key = ContentKey::from_bytes(&[9; 32]);
    Batches::open(&folder.join("batches"), key, metadata, options).unwrap()
}

pub(crate) async fn site() -> Site {
    site_with(BatchOptions::default(), |_| {}).await
}

pub(crate) async fn site_with(options: BatchOptions, adjust: impl FnOnce(&mut GatewayParts)) -> Site {
    Site::start_adjusted(|parts, metadata, folder| {
        parts.authorizer = policies();
        parts.batches = Some(open(folder, metadata.clone(), options));
        // Tests let hours pass in no time: a thread is not behind for that, and keys are looked for in real time.
        parts.options.lag_max = Duration::from_secs(1 << 30);
        let keys = Keys::open(metadata.clone(), parts.clock.clone(), Duration::from_secs(1 << 30)).unwrap();
        let exempt = vec!["127.0.0.0/8".parse().unwrap()];
        let throttle = ThrottleOptions { exempt, ..ThrottleOptions::default() };
        parts.identity = Identity::new(keys, None, CertificateRules::default(), throttle);
        adjust(parts);
    })
    .await
}

pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A line that asks a model to say its name.
pub(crate) fn line(custom_id: &str, model: &str) -> String {
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": custom_id }] });
    json!({ "custom_id": custom_id, "method": "POST", "url": CHAT, "body": body }).to_string()
}

pub(crate) fn lines(ids: impl IntoIterator<Item = String>) -> String {
    ids.into_iter().map(|id| line(&id, "chat-model") + "\n").collect()
}

pub(crate) fn form(purpose: &str, file: &str) -> Vec<u8> {
    format!(
        "--cut\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n\
         --cut\r\ncontent-disposition: form-data; name=\"file\"; filename=\"lines.jsonl\"\r\n\
         content-type: application/octet-stream\r\n\r\n{file}\r\n--cut--\r\n"
    )
    .into_bytes()
}

impl Client {
    pub(crate) async fn upload_as(&mut self, purpose: &str, file: &str) -> Answer {
        let mut request = self.request("/v1/files", form(purpose, file));
        let media = "multipart/form-data; boundary=cut".parse().unwrap();
        request.headers_mut().insert("content-type", media);
        whole(self.send(request).await).await
    }

    pub(crate) async fn upload(&mut self, file: &str) -> String {
        let answer = self.upload_as("batch", file).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn create_batch(&mut self, file: &str, window: &str) -> Answer {
        let asked = json!({ "input_file_id": file, "endpoint": CHAT, "completion_window": window });
        self.post("/v1/batches", asked.to_string()).await
    }

    /// A batch of these lines.
    pub(crate) async fn batch_of(&mut self, file: &str) -> String {
        let file = self.upload(file).await;
        let answer = self.create_batch(&file, "24h").await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn batch(&mut self, id: &str) -> Value {
        self.get(&format!("/v1/batches/{id}")).await.json()
    }

    pub(crate) async fn ended(&mut self, id: &str) -> Value {
        loop {
            let batch = self.batch(id).await;
            if ["completed", "failed", "expired", "cancelled"].contains(&batch["status"].as_str().unwrap()) {
                return batch;
            }
            tokio::task::yield_now().await;
        }
    }

    /// The lines of a result file by their names.
    pub(crate) async fn results(&mut self, file: &Value) -> Vec<(String, Value)> {
        let Some(file) = file.as_str() else { return Vec::new() };
        let content = self.get(&format!("/v1/files/{file}/content")).await;
        assert_eq!(content.status, 200);
        let text = String::from_utf8(content.body.to_vec()).unwrap();
        let values = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        values.map(|value| (value["custom_id"].as_str().unwrap().to_owned(), value)).collect()
    }

    pub(crate) async fn delete(&mut self, path: &str) -> Answer {
        let request = Request::builder().method(Method::DELETE).uri(path);
        let request = request.header("host", "gateway").header("authorization", self.authorization());
        let request = request.body(Full::new(Bytes::new())).unwrap();
        whole(self.send(request).await).await
    }
}

/// Says what it was asked.
pub(crate) fn echo(received: Received) {
    let asked: Value = serde_json::from_slice(&received.body).unwrap();
    let said = &asked["messages"][0]["content"];
    received.try_answer(&answer_of(said.as_str().unwrap()));
}

pub(crate) fn answer_of(said: &str) -> String {
    json!({
        "id": "c", "object": "chat.completion",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": said }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8 },
    })
    .to_string()
}

/// What the test does, while the engine answers whatever comes.
pub(crate) async fn beside_echo<T>(engine: &mut crate::engine::Engine, test: impl Future<Output = T>) -> T {
    let echoing = async {
        loop {
            echo(engine.next().await);
        }
    };
    tokio::select! {
        done = test => done,
        () = echoing => unreachable!(),
    }
}

pub(crate) fn said(result: &Value) -> &str {
    result["response"]["body"]["choices"][0]["message"]["content"].as_str().unwrap()
}

#[tokio::test]
async fn a_file_is_kept_listed_read_back_and_deleted_and_is_nowhere_in_the_clear() {
    let site = site().await;
    let mut client = site.client().await;
    let text = lines(["secret-words".to_owned()]);
    let uploaded = client.upload_as("batch", &text).await.json();
    assert_eq!((uploaded["object"].as_str(), uploaded["purpose"].as_str()), (Some("file"), Some("batch")));
    assert_eq!(uploaded["bytes"].as_u64(), Some(text.len() as u64));
    assert_eq!(uploaded["filename"], "lines.jsonl");
    let id = uploaded["id"].as_str().unwrap();
    assert_eq!(client.get(&format!("/v1/files/{id}")).await.json(), uploaded);
    assert_eq!(client.get(&format!("/v1/files/{id}/content")).await.body, text.as_bytes());
    let sealed = std::fs::read(site.folder.path().join("batches/files").join(id)).unwrap();
    assert!(!sealed.windows(12).any(|window| window == b"secret-words"));
    let second = client.upload(&text).await;
    let list = client.get("/v1/files?limit=1").await.json();
    assert_eq!((&list["data"][0]["id"], &list["has_more"]), (&json!(second), &json!(true)));
    let next = client.get(&format!("/v1/files?limit=1&after={second}")).await.json();
    assert_eq!((&next["data"][0]["id"], &next["has_more"]), (&json!(id), &json!(false)));
    assert_eq!(client.get("/v1/files?purpose=batch_output").await.json()["data"], json!([]));
    let deleted = client.delete(&format!("/v1/files/{id}")).await.json();
    assert_eq!(deleted, json!({ "id": id, "object": "file", "deleted": true }));
    assert_eq!(client.get(&format!("/v1/files/{id}")).await.status, 404);
    assert!(!site.folder.path().join("batches/files").join(id).exists());
}

#[tokio::test]
async fn what_is_no_file_for_a_batch_is_refused_and_leaves_nothing() {
    let options = BatchOptions { file_bytes_max: 3_000, project_bytes_max: 4_000, ..BatchOptions::default() };
    let site = site_with(options, |parts| parts.options.body_timeout = Duration::from_millis(100)).await;
    let mut client = site.client().await;
    let refused = client.upload_as("fine-tune", "x").await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "E0860"));
    let refused = client.post("/v1/files", "{}").await;
    assert_eq!((refused.status, refused.code().as_str()), (415, "E0860"));
    let mut client = site.client().await;
    let refused = client.upload_as("batch", &"x".repeat(3_001)).await;
    assert_eq!((refused.status, refused.code().as_str()), (413, "E0864"));
    let mut client = site.client().await;
    client.upload(&"x".repeat(3_000)).await;
    let refused = client.upload_as("batch", &"x".repeat(1_001)).await;
    assert_eq!((refused.status, refused.code().as_str()), (413, "E0864"));
    // A form that is cut off: its sender says more than it sends.
    let mut request = client.request("/v1/files", Bytes::from(form("batch", "xyz")).slice(..150));
    request.headers_mut().insert("content-type", "multipart/form-data; boundary=cut".parse().unwrap());
    assert_eq!(whole(client.send(request).await).await.status, 408);
    assert_eq!(std::fs::read_dir(site.folder.path().join("batches/incoming")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(site.folder.path().join("batches/files")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_project_sees_neither_files_nor_batches_of_another() {
    let mut site = site().await;
    let (mut client, mut other) =
        (site.client().await, site.client_with(&site.issue_key("bob", "other", None)).await);
    while other.get("/v1/models").await.status == 401 {}
    let file = client.upload(&lines(["a".to_owned()])).await;
    let batch = client.create_batch(&file, "24h").await.json()["id"].as_str().unwrap().to_owned();
    for path in
        [format!("/v1/files/{file}"), format!("/v1/files/{file}/content"), format!("/v1/batches/{batch}")]
    {
        let answer = other.get(&path).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "E0862"), "{path}");
    }
    assert_eq!(other.delete(&format!("/v1/files/{file}")).await.status, 404);
    assert_eq!(other.post(&format!("/v1/batches/{batch}/cancel"), "").await.status, 404);
    assert_eq!(other.create_batch(&file, "24h").await.status, 404);
    assert_eq!(other.get("/v1/files").await.json()["data"], json!([]));
    assert_eq!(other.get("/v1/batches").await.json()["data"], json!([]));
    // While the batch runs, its input stays.
    assert_eq!(client.delete(&format!("/v1/files/{file}")).await.code(), "E0863");
    beside_echo(&mut site.engine, client.ended(&batch)).await;
    assert_eq!(client.delete(&format!("/v1/files/{file}")).await.status, 200);
}

#[tokio::test]
async fn whom_policy_permits_no_batches_has_no_files() {
    let site = site().await;
    let mut small = site.client_with(&site.issue_key("eve", "small", None)).await;
    while small.get("/v1/models").await.status == 401 {}
    for path in ["/v1/files", "/v1/batches"] {
        let refused = small.get(path).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "E0865"), "{path}");
    }
    assert_eq!(small.upload_as("batch", "x").await.status, 403);
}

#[tokio::test]
async fn a_large_file_is_never_held_whole() {
    // Less memory for requests than the file is long.
    let site = site_with(BatchOptions::default(), |parts| parts.options.memory_bytes_max = 1 << 20).await;
    let mut client = site.client().await;
    let text = (lines(["a".to_owned()]) + &" ".repeat(900)).repeat(9_000);
    assert!(text.len() > 8 << 20);
    let file = client.upload(&text).await;
    let content = client.get(&format!("/v1/files/{file}/content")).await;
    assert!(content.body == text.as_bytes());
}
