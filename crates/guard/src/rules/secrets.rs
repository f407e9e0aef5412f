//! Keys and tokens that are known by how they begin.
//!
//! Formats are those their issuers document. A token whose variable part is all alike is a placeholder and is left alone.

use super::{all_if, is_local, last_run};
use crate::checks::entropy;
use crate::rule::{Candidate, Check, Ending, Extent, Rule, RuleName};
use std::borrow::Cow;

/// Bits a byte that the variable part of a token has at least; a placeholder has less.
const VARIED: f64 = 2.6;

/// Name and pattern of tokens that are certain when they look as they do.
const TOKENS: &[(&str, &str)] = &[
    // -- clouds --
    ("secret.aws_access_key_id", r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z2-7]{16}"),
    ("secret.aws_bedrock_api_key", r"ABSK[A-Za-z0-9+/]{109,269}={0,2}"),
    ("secret.gcp_api_key", r"AIza[A-Za-z0-9_-]{35}"),
    ("secret.gcp_oauth_client_secret", r"GOCSPX-[A-Za-z0-9_-]{28}"),
    ("secret.gcp_oauth_access_token", r"ya29\.[A-Za-z0-9_-]{20,400}"),
    ("secret.azure_storage_key", r"(?i:accountkey)=[A-Za-z0-9+/]{86}=="),
    ("secret.azure_sas", r"(?i:sig)=[A-Za-z0-9%]{43,63}%3[dD]"),
    (
        "secret.azure_function_key",
        r"(?i:x-functions-key)[ :=]{1,3}[A-Za-z0-9_-]{52}AzFu[A-Za-z0-9_-]{0,4}=?=?",
    ),
    ("secret.adobe_client_secret", r"p8e-[a-z0-9]{32}"),
    ("secret.clickhouse_key", r"4b1d[A-Za-z0-9]{38}"),
    ("secret.alibaba_access_key_id", r"LTAI[A-Za-z0-9]{20}"),
    ("secret.tencent_secret_id", r"AKID[A-Za-z0-9]{32}"),
    ("secret.digitalocean_pat", r"dop_v1_[a-f0-9]{64}"),
    ("secret.digitalocean_oauth", r"do[or]_v1_[a-f0-9]{64}"),
    ("secret.linode_pat", r"lin_[a-z]{2,8}_[A-Za-z0-9]{40,64}"),
    ("secret.heroku_api_key", r"HRKU-[A-Za-z0-9_-]{36,60}"),
    ("secret.flyio_token", r"fo1_[A-Za-z0-9_-]{43}"),
    ("secret.flyio_macaroon", r"fm[12][ar]?_[A-Za-z0-9+/]{100,400}={0,3}"),
    ("secret.scalingo_token", r"tk-us-[A-Za-z0-9_-]{48}"),
    ("secret.clojars_token", r"CLOJARS_[a-z0-9]{60}"),
    ("secret.cloudflare_origin_ca", r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}"),
    ("secret.cloudflare_api_token", r"cf(?:ut|at|k)_[A-Za-z0-9_-]{40,60}"),
    ("secret.fastly_automation_token", r"fastly_[A-Za-z0-9_-]{32}"),
    ("secret.infracost_key", r"ico-[A-Za-z0-9]{32}"),
    ("secret.pulumi_token", r"pul-[a-f0-9]{40}"),
    ("secret.vault_service_token", r"hvs\.[A-Za-z0-9_-]{90,120}"),
    ("secret.vault_batch_token", r"hvb\.[A-Za-z0-9_-]{138,300}"),
    ("secret.vault_recovery_token", r"hvr\.[A-Za-z0-9_-]{24,120}"),
    ("secret.doppler_token", r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}"),
    ("secret.infisical_token", r"st\.[a-f0-9]{24}\.[a-f0-9]{32}\.[a-f0-9]{32}"),
    ("secret.1password_service_account", r"ops_eyJ[A-Za-z0-9+/]{200,480}={0,3}"),
    (
        "secret.1password_secret_key",
        r"A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
    ),
    ("secret.age_secret_key", r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"),
    ("secret.openshift_token", r"sha256~[A-Za-z0-9_-]{43}"),
    // -- code and packages --
    ("secret.github_pat", r"ghp_[A-Za-z0-9]{36}"),
    ("secret.github_fine_grained_pat", r"github_pat_[A-Za-z0-9_]{82}"),
    ("secret.github_oauth", r"gho_[A-Za-z0-9]{36}"),
    ("secret.github_app_token", r"gh[us]_[A-Za-z0-9]{36}"),
    ("secret.github_refresh_token", r"ghr_[A-Za-z0-9]{36,76}"),
    ("secret.gitlab_pat", r"glpat-[A-Za-z0-9_-]{20}"),
    ("secret.gitlab_pat_routable", r"glpat-[A-Za-z0-9_-]{27,300}\.[0-9a-z]{2}\.?[a-z0-9]{7,9}"),
    ("secret.gitlab_pipeline_trigger", r"glptt-[a-f0-9]{40}"),
    ("secret.gitlab_runner_token", r"glrt-(?:t[0-9]_)?[A-Za-z0-9_-]{20}"),
    ("secret.gitlab_runner_registration", r"GR1348941[A-Za-z0-9_-]{20}"),
    ("secret.gitlab_deploy_token", r"gldt-[A-Za-z0-9_-]{20}"),
    ("secret.gitlab_feed_token", r"glft-[A-Za-z0-9_-]{20}"),
    ("secret.gitlab_ci_job_token", r"glcbt-[A-Za-z0-9]{1,5}_[A-Za-z0-9_-]{20}"),
    ("secret.gitlab_agent_token", r"glagent-[A-Za-z0-9_-]{50}"),
    ("secret.gitlab_oauth_secret", r"gloas-[A-Za-z0-9_-]{64}"),
    ("secret.gitlab_scim_token", r"glsoat-[A-Za-z0-9_-]{20}"),
    ("secret.gitlab_incoming_mail", r"glimt-[A-Za-z0-9_-]{25}"),
    ("secret.gitlab_feature_flag", r"glffct-[A-Za-z0-9_-]{20}"),
    ("secret.bitbucket_app_password", r"ATBB[A-Za-z0-9]{32}"),
    ("secret.atlassian_api_token", r"ATATT3[A-Za-z0-9_=-]{180,200}"),
    ("secret.npm_token", r"npm_[A-Za-z0-9]{36}"),
    ("secret.pypi_token", r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,400}"),
    ("secret.pypi_test_token", r"pypi-AgENdGVzdC5weXBpLm9yZw[A-Za-z0-9_-]{50,400}"),
    ("secret.rubygems_key", r"rubygems_[a-f0-9]{48}"),
    ("secret.crates_io_token", r"cio[A-Za-z0-9]{32}"),
    ("secret.nuget_key", r"oy2[a-z0-9]{43}"),
    ("secret.docker_pat", r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,32}"),
    ("secret.jfrog_reference_token", r"cmVmd[A-Za-z0-9]{59}"),
    ("secret.jfrog_api_key", r"AKCp[A-Za-z0-9]{69}"),
    ("secret.sonar_token", r"sq[aup]_[a-f0-9]{40}"),
    ("secret.snyk_token", r"snyk_(?:uat|sat)\.[a-z0-9]{8}\.[A-Za-z0-9_-]{40,400}"),
    ("secret.sourcegraph_token", r"sgp_(?:[a-fA-F0-9]{16}_|local_)?[a-fA-F0-9]{40}"),
    ("secret.buildkite_token", r"bkua_[a-f0-9]{40}"),
    ("secret.circleci_token", r"CCIP(?:AT|RJ)_[A-Za-z0-9]{22}_[a-f0-9]{40}"),
    ("secret.harness_token", r"(?:pat|sat)\.[A-Za-z0-9_-]{22}\.[a-f0-9]{24}\.[A-Za-z0-9]{20}"),
    ("secret.octopus_key", r"API-[A-Z0-9]{26}"),
    ("secret.vercel_token", r"vc[pikro]_[A-Za-z0-9]{24,60}"),
    ("secret.netlify_token", r"nf[pcb]_[A-Za-z0-9]{36,40}"),
    ("secret.supabase_key", r"sb(?:p|_secret)_[A-Za-z0-9_-]{31,56}"),
    ("secret.postman_key", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    ("secret.readme_key", r"rdme_[a-z0-9]{70}"),
    ("secret.prefect_key", r"pnu_[A-Za-z0-9]{36}"),
    ("secret.databricks_token", r"dapi[a-f0-9]{32}(?:-[0-9])?"),
    ("secret.planetscale_token", r"pscale_tkn_[A-Za-z0-9_=.-]{32,64}"),
    ("secret.planetscale_password", r"pscale_pw_[A-Za-z0-9_=.-]{32,64}"),
    ("secret.planetscale_oauth", r"pscale_oauth_[A-Za-z0-9_=.-]{32,64}"),
    ("secret.neon_key", r"napi_[a-z0-9]{64}"),
    ("secret.turbopuffer_key", r"tpuf_[A-Za-z0-9]{32}"),
    ("secret.pinecone_key", r"pcsk_[A-Za-z0-9]{5,6}_[A-Za-z0-9]{63}"),
    ("secret.airtable_pat", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    ("secret.notion_token", r"ntn_[0-9]{11}[A-Za-z0-9]{35}"),
    ("secret.notion_legacy_token", r"secret_[A-Za-z0-9]{43}"),
    ("secret.linear_key", r"lin_api_[A-Za-z0-9]{40}"),
    ("secret.asana_pat", r"[12]/[0-9]{16}(?:/[0-9]{16})?:[a-f0-9]{32}"),
    ("secret.figma_pat", r"fig[dour]_[A-Za-z0-9_-]{40}"),
    ("secret.contentful_pat", r"CFPAT-[A-Za-z0-9_-]{43}"),
    ("secret.typeform_token", r"tfp_[A-Za-z0-9_.=-]{59}"),
    ("secret.grafana_service_account", r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"),
    ("secret.grafana_cloud_token", r"glc_[A-Za-z0-9+/]{32,400}={0,2}"),
    ("secret.grafana_api_key", r"eyJrIjoi[A-Za-z0-9]{70,400}={0,2}"),
    ("secret.dynatrace_token", r"dt0[a-z][0-9]{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    ("secret.datadog_app_key", r"ddapp_[A-Za-z0-9]{34}"),
    ("secret.new_relic_user_key", r"NRAK-[A-Z0-9]{27}"),
    ("secret.new_relic_ingest_key", r"NRII-[A-Za-z0-9-]{32}"),
    ("secret.new_relic_browser_key", r"NRJS-[a-f0-9]{19}"),
    ("secret.sentry_user_token", r"sntryu_[a-f0-9]{64}"),
    ("secret.sentry_org_token", r"sntrys_eyJ[A-Za-z0-9+/=_-]{80,400}"),
    ("secret.honeycomb_key", r"hc[abx]ik_[A-Za-z0-9]{58}"),
    ("secret.posthog_key", r"ph[xcs]_[A-Za-z0-9]{43,47}"),
    (
        "secret.launchdarkly_sdk_key",
        r"(?:sdk|mob|api)-[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[a-f0-9]{4}-[a-f0-9]{12}",
    ),
    ("secret.frameio_token", r"fio-u-[A-Za-z0-9_=-]{64}"),
    ("secret.shopify_token", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    ("secret.square_access_token", r"(?:EAAA|sq0atp-)[A-Za-z0-9_-]{22,60}"),
    ("secret.square_secret", r"sq0csp-[A-Za-z0-9_-]{43}"),
    // -- models --
    ("secret.openai_key", r"sk-(?:proj|svcacct|admin)-[A-Za-z0-9_-]{40,200}"),
    ("secret.openai_legacy_key", r"sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"),
    ("secret.anthropic_key", r"sk-ant-(?:api|sid|oat)[0-9]{2}-[A-Za-z0-9_-]{80,120}"),
    ("secret.anthropic_admin_key", r"sk-ant-admin01-[A-Za-z0-9_-]{80,120}"),
    ("secret.openrouter_key", r"sk-or-v1-[a-f0-9]{64}"),
    ("secret.hugging_face_token", r"hf_[A-Za-z]{34}"),
    ("secret.hugging_face_org_token", r"api_org_[A-Za-z]{34}"),
    ("secret.replicate_token", r"r8_[A-Za-z0-9]{37}"),
    ("secret.groq_key", r"gsk_[A-Za-z0-9]{52}"),
    ("secret.xai_key", r"xai-[A-Za-z0-9]{80}"),
    ("secret.perplexity_key", r"pplx-[A-Za-z0-9]{48}"),
    ("secret.fireworks_key", r"fw_[A-Za-z0-9]{22,24}"),
    ("secret.langsmith_key", r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    ("secret.langfuse_secret", r"sk-lf-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("secret.wandb_key", r"wandb_v1_[A-Za-z0-9_]{60,90}"),
    ("secret.nvidia_key", r"nvapi-[A-Za-z0-9_-]{64}"),
    ("secret.cerebras_key", r"csk-[a-z0-9]{48}"),
    ("secret.tavily_key", r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{32}"),
    ("secret.elevenlabs_key", r"sk_[a-f0-9]{48}"),
    ("secret.hermetic_key", r"hmk_[A-Za-z0-9_-]{20,90}"),
    // -- people and payments --
    ("secret.slack_bot_token", r"xoxb-[0-9]{10,13}-[0-9]{10,13}-?[A-Za-z0-9]{16,36}"),
    ("secret.slack_user_token", r"xox[pe](?:-[0-9]{10,13}){3}-[A-Za-z0-9]{28,34}"),
    ("secret.slack_app_token", r"xapp-[0-9]-[A-Z0-9]{9,13}-[0-9]{10,14}-[a-z0-9]{60,68}"),
    ("secret.slack_config_token", r"xoxe(?:\.xox[bp])?-[0-9]-[A-Za-z0-9]{146,180}"),
    ("secret.slack_legacy_token", r"xox[aors]-(?:[0-9]{1,13}-){0,3}[A-Za-z0-9]{10,48}"),
    ("secret.discord_bot_token", r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}"),
    ("secret.telegram_bot_token", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"),
    ("secret.stripe_key", r"(?:sk|rk)_(?:test|live|prod)_[A-Za-z0-9]{16,99}"),
    ("secret.stripe_webhook_secret", r"whsec_[A-Za-z0-9+/]{32,44}=?"),
    ("secret.razorpay_key", r"rzp_(?:live|test)_[A-Za-z0-9]{14,24}"),
    ("secret.flutterwave_key", r"FLWSECK(?:_TEST|_PROD)?-[a-h0-9]{12,32}(?:-X)?"),
    ("secret.paystack_key", r"sk_(?:live|test)_[a-f0-9]{40}"),
    ("secret.adyen_key", r"AQE[A-Za-z0-9+/]{60,400}={0,2}"),
    ("secret.braintree_token", r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}"),
    (
        "secret.plaid_token",
        r"access-(?:sandbox|development|production)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}",
    ),
    ("secret.easypost_key", r"EZ[AT]K[a-f0-9]{54}"),
    ("secret.shippo_token", r"shippo_(?:live|test)_[a-fA-F0-9]{40}"),
    ("secret.twilio_key", r"SK[a-f0-9]{32}"),
    ("secret.sendgrid_key", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    ("secret.sendinblue_key", r"xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}"),
    ("secret.mailgun_key", r"key-[a-f0-9]{32}"),
    ("secret.mailchimp_key", r"[a-f0-9]{32}-us[0-9]{1,2}"),
    ("secret.mailersend_token", r"mlsn\.[a-f0-9]{64}"),
    ("secret.resend_key", r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,30}"),
    ("secret.facebook_token", r"EAA[MC][A-Za-z0-9]{20,400}"),
    ("secret.intra42_secret", r"s-s4t2(?:ud|af)-[a-f0-9]{64}"),
    ("secret.duffel_token", r"duffel_(?:test|live)_[A-Za-z0-9_=-]{43}"),
    ("secret.dropbox_token", r"sl\.[A-Za-z0-9_=-]{130,400}"),
    ("secret.tailscale_key", r"tskey-(?:auth|api|client|scim|webhook)-[A-Za-z0-9]{6,24}-[A-Za-z0-9]{20,48}"),
    ("secret.teleport_token", r"teleport_(?:join|bot)_[a-f0-9]{32,64}"),
    ("secret.zuplo_key", r"zpka_[a-z0-9]{32}_[a-f0-9]{8}"),
    ("secret.defined_networking_token", r"dnkey-[A-Za-z0-9_=-]{26}-[A-Za-z0-9_=-]{52}"),
    (
        "secret.authress_key",
        r"(?:sc|ext|scauth|authress)_[a-z0-9]{5,30}\.[a-z0-9]{4,6}\.acc[_-][a-z0-9-]{10,32}\.[a-z0-9+/_=-]{30,120}",
    ),
    ("secret.settlemint_token", r"sm_(?:pat|aat|sat)_[A-Za-z0-9]{16}"),
    (
        "secret.microsoft_teams_webhook",
        r"webhook\.office\.com/webhookb2/[a-f0-9@-]{60,90}/IncomingWebhook/[a-f0-9]{32}/[a-f0-9-]{36}",
    ),
    ("secret.slack_webhook", r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{40,60}"),
    ("secret.discord_webhook", r"discord(?:app)?\.com/api/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,72}"),
];

pub(super) fn rules() -> Vec<Rule> {
    let tokens = TOKENS.iter().map(|(name, pattern)| rule(name, (*pattern).to_owned(), token));
    let others = [
        // Known by what stands in the middle of them: found there, and reached back from.
        rule("secret.azure_ad_client_secret", r"~[A-Za-z0-9_~.-]{31,34}".to_owned(), azure_ad),
        rule("secret.terraform_cloud_token", r"\.atlasv1\.[A-Za-z0-9_=-]{60,70}".to_owned(), terraform),
        rule(
            "secret.private_key",
            r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----".to_owned(),
            private_key,
        ),
        rule("secret.putty_key", r"PuTTY-User-Key-File-[23]: [a-z0-9-]{3,40}".to_owned(), armor),
        rule("secret.jwt", r"ey[A-Za-z0-9_-]{12,200}\.ey[A-Za-z0-9_-]{8}".to_owned(), jwt),
        // A header longer than most, still a header: what begins like one and goes on like none ends where it does.
        rule(
            "secret.url_password",
            r#"://[^\s:@/"'<>\x60]{0,64}:[^\s@/"'<>\x60]{1,128}@"#.to_owned(),
            url_password,
        ),
        rule("secret.bearer", r"(?i:bearer) {1,3}[A-Za-z0-9_.~+/=-]{20,300}".to_owned(), bearer),
        rule("secret.basic_auth", r"(?i:basic) {1,3}[A-Za-z0-9+/]{12,200}={0,2}".to_owned(), bearer),
        rule(
            "secret.kubernetes_secret",
            r"(?i:client-key-data): {1,2}[A-Za-z0-9+/]{40,400}".to_owned(),
            kubeconfig,
        ),
        rule(
            "secret.connection_string",
            r#"(?i:(?:pwd|password)) {0,2}= {0,2}[^;\s"'<>]{4,80};"#.to_owned(),
            connection,
        ),
        rule(
            "secret.netrc",
            r"(?i:machine) [^\s]{1,80} {1,2}login [^\s]{1,60} {1,2}password [^\s]{1,80}".to_owned(),
            last_word,
        ),
        rule(
            "secret.curl_user",
            r#"(?i:curl)[^\n"']{0,120} (?:-u|--user) {0,1}["']?[^\s:"']{1,60}:[^\s"']{3,80}"#.to_owned(),
            behind_colon,
        ),
        rule("secret.totp_uri", r"otpauth://[a-z]{4}/[^\s]{1,100}secret=[A-Z2-7]{16,64}".to_owned(), token),
        rule("secret.ssh_password", r"(?i:sshpass) {1,2}-p {0,1}[^\s]{3,64}".to_owned(), last_word),
    ];
    tokens.chain(others).collect()
}

fn rule(name: &'static str, pattern: String, check: Check) -> Rule {
    Rule { name: RuleName::built_in(name), pattern: Cow::Owned(pattern), check }
}

/// The end of it varies: what people write in examples does not.
fn token(candidate: &Candidate<'_>) -> Option<Extent> {
    const TAIL: usize = 24;
    let text = candidate.matched();
    let tail = text.get(text.len().saturating_sub(TAIL).max(4).min(text.len())..)?;
    all_if(entropy(tail) >= VARIED.min((tail.len() as f64).log2() - 0.7) && !is_placeholder(text))
}

/// Words that say that this is none.
pub(super) fn is_placeholder(text: &[u8]) -> bool {
    const WORDS: [&[u8]; 12] = [
        b"example",
        b"placeholder",
        b"your_",
        b"your-",
        b"xxxxx",
        b"changeme",
        b"redacted",
        b"dummy",
        b"sample",
        b"00000000",
        b"12345678",
        b"abcdef",
    ];
    let lower = text.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.windows(word.len()).any(|window| window == *word))
}

/// Three characters, a digit and a `Q` before the sign.
fn azure_ad(candidate: &Candidate<'_>) -> Option<Extent> {
    let start = candidate.start.checked_sub(5)?;
    let head = candidate.text.get(start..candidate.start)?;
    let shaped = head.ends_with(b"Q")
        && head.get(3).is_some_and(u8::is_ascii_digit)
        && head.iter().all(|b| is_local(*b));
    (shaped && !is_placeholder(candidate.matched())).then_some(Extent::Between(start, candidate.end))
}

/// Fourteen letters and digits before the word.
fn terraform(candidate: &Candidate<'_>) -> Option<Extent> {
    let start = candidate.start.checked_sub(14)?;
    let head = candidate.text.get(start..candidate.start)?;
    head.iter().all(u8::is_ascii_alphanumeric).then_some(Extent::Between(start, candidate.end))
}

fn private_key(candidate: &Candidate<'_>) -> Option<Extent> {
    let _ = candidate;
    Some(Extent::Begun(Ending::Armor))
}

fn armor(candidate: &Candidate<'_>) -> Option<Extent> {
    private_key(candidate)
}

fn jwt(candidate: &Candidate<'_>) -> Option<Extent> {
    let _ = candidate;
    Some(Extent::Begun(Ending::Token))
}

fn url_password(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = candidate.matched();
    let colon = text.iter().skip(3).position(|b| *b == b':')? + 3;
    let password = text.get(colon + 1..text.len() - 1)?;
    let variable = password.starts_with(b"$") || password.starts_with(b"{") || password.starts_with(b"%");
    let word = [&b"password"[..], b"pass", b"pwd", b"secret"].contains(&password);
    let name = text.get(3..colon).unwrap_or_default();
    // What stands for one, in the documentation of URLs: `foo:bar`, the name again, a picture.
    let shown = password.len() < 4 || password == name || !password.iter().any(u8::is_ascii_alphanumeric);
    (!variable && !word && !shown).then_some(Extent::Between(candidate.start + colon + 1, candidate.end - 1))
}

fn bearer(candidate: &Candidate<'_>) -> Option<Extent> {
    let extent = last_run(candidate, |b| b.is_ascii_alphanumeric() || b"_.~+/=-".contains(&b))?;
    let Extent::From(from) = extent else { return None };
    let value = candidate.text.get(from..candidate.end)?;
    let mixed = value.iter().any(u8::is_ascii_digit) && value.iter().any(u8::is_ascii_alphabetic);
    (mixed && entropy(value) >= 3.2 && !is_placeholder(value)).then_some(extent)
}

fn kubeconfig(candidate: &Candidate<'_>) -> Option<Extent> {
    last_run(candidate, |b| b.is_ascii_alphanumeric() || b"+/=".contains(&b))
}

fn connection(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = candidate.matched();
    let equals = text.iter().position(|b| *b == b'=')?;
    let value = text.get(equals + 1..text.len() - 1)?;
    let from = equals + 1 + value.iter().position(|b| *b != b' ')?;
    let known = candidate.follows(&[
        "server",
        "data source",
        "host",
        "user id",
        "uid",
        "database",
        "initial catalog",
        "user",
    ]);
    let literal =
        !value.contains(&b'$') && !value.contains(&b'{') && !value.contains(&b'(') && !is_placeholder(value);
    (known && literal).then_some(Extent::Between(candidate.start + from, candidate.end - 1))
}

fn last_word(candidate: &Candidate<'_>) -> Option<Extent> {
    last_run(candidate, |b| !b.is_ascii_whitespace())
}

fn behind_colon(candidate: &Candidate<'_>) -> Option<Extent> {
    let extent = last_run(candidate, |b| b != b':')?;
    let Extent::From(from) = extent else { return None };
    let value = candidate.text.get(from..candidate.end)?;
    (!value.contains(&b'$') && !value.contains(&b' ')).then_some(extent)
}
