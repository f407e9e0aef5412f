use crate::client::{CHAT, chat};
use crate::site::Site;
use hermetic_identity::{CertificateRules, Identity, ThrottleOptions};
use std::time::Duration;

#[tokio::test]
async fn whoever_guesses_is_shut_out_for_a_while_also_with_the_right_key_and_is_on_record() {
    let mut site = Site::start_adjusted(|parts, _, _| {
        let options = ThrottleOptions { free: 3, ..ThrottleOptions::default() };
        parts.identity =
            Identity::new(parts.identity.keys().clone(), None, CertificateRules::default(), options);
    })
    .await;
    let guess = format!("hk_0000000000000000_{}", "A".repeat(43));
    let mut guesser = site.client_with(&guess).await;
    for _ in 0..4 {
        assert_eq!(guesser.post(CHAT, chat("chat-model", false)).await.code(), "E0903");
    }
    let mut holder = site.client().await;
    let answer = holder.get("/v1/models").await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "E0909"));
    assert_eq!(
        (&answer.headers["retry-after"], &answer.headers["x-should-retry"]),
        (&"1".parse().unwrap(), &"true".parse().unwrap())
    );
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
    let metrics = String::from_utf8(holder.get("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("hermetic_identity_sources_failing 1"), "{metrics}");
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(holder.get("/v1/models").await.status, 200);
    let refused = site.refused_identities().await;
    let of = |code: &str| {
        refused.iter().filter(|one| one.code == code).map(|one| one.attempts).collect::<Vec<_>>()
    };
    assert_eq!((of("E0903"), of("E0909")), (vec![1, 3], vec![1]), "the first at once, the others counted");
}

#[tokio::test]
async fn two_authorization_headers_are_none() {
    let site = Site::start().await;
    let mut client = site.client().await;
    let mut request = client.request("/v1/models", "");
    *request.method_mut() = http::Method::GET;
    request.headers_mut().append("authorization", "Bearer hk_x".parse().unwrap());
    assert_eq!(crate::client::whole(client.send(request).await).await.code(), "E0902");
}
