"""Secrets: recall on generated ones in the places where they are leaked, false alarms on source code that has none.

The formats below are those that issuers document and gitleaks' samples have; they are written here a second time, from
those and not from our patterns, so that a mistake there is seen here. detect-secrets runs on the same texts.
"""

import collections
import hashlib
import json
import pathlib
import random
import re
import subprocess
import sys
import sysconfig
import uuid

SEED = 20261129
EACH = 14
# Known by how they look, wherever they stand. {class,length}: a letters and digits, l small, U capital, h hexadecimal, H capital
# hexadecimal, n digits, L letters, t with - and _, b base64, u UUID, r base32.
TOKENS = {
    "aws_access_key_id": ["AKIA{r,16}", "ASIA{r,16}"], "aws_bedrock": ["ABSK{b,128}"], "gcp_api_key": ["AIza{t,35}"],
    "gcp_client_secret": ["GOCSPX-{t,28}"], "gcp_oauth": ["ya29.{t,120}"], "azure_ad": ["{a,3}8Q~{a,34}"],
    "azure_storage": ["DefaultEndpointsProtocol=https;AccountName=store{n,3};AccountKey={b,86}=="],
    "alibaba_id": ["LTAI{a,20}"], "digitalocean": ["dop_v1_{h,64}", "doo_v1_{h,64}", "dor_v1_{h,64}"], "heroku": ["HRKU-AA{t,58}"],
    "flyio": ["fo1_{t,43}", "fm1a_{b,120}"], "clojars": ["CLOJARS_{l,60}"], "cloudflare_ca": ["v1.0-{h,24}-{h,146}"],
    "infracost": ["ico-{a,32}"], "pulumi": ["pul-{h,40}"], "vault_service": ["hvs.{t,95}"], "vault_batch": ["hvb.{t,150}"],
    "doppler": ["dp.pt.{a,43}", "dp.st.prd.{a,43}"], "1password_account": ["ops_eyJ{b,260}"],
    "1password_key": ["A3-{U,6}-{U,6}-{U,5}-{U,5}-{U,5}-{U,5}", "A3-{U,6}-{U,11}-{U,5}-{U,5}-{U,5}"],
    "age": ["AGE-SECRET-KEY-1{q,58}"], "openshift": ["sha256~{t,43}"],
    "github": ["ghp_{a,36}", "gho_{a,36}", "ghu_{a,36}", "ghs_{a,36}", "ghr_{a,36}", "github_pat_11{U,20}_{a,59}"],
    "gitlab": ["glpat-{t,20}", "glptt-{h,40}", "GR1348941{t,20}", "glrt-{t,20}", "gldt-{t,20}", "glft-{t,20}", "glsoat-{t,20}",
               "gloas-{h,64}", "glimt-{l,25}", "glagent-{t,50}", "glcbt-64_{t,20}"],
    "atlassian": ["ATATT3{t,178}={H,8}"], "bitbucket_app": ["ATBB{a,32}"], "npm": ["npm_{a,36}"],
    "pypi": ["pypi-AgEIcHlwaS5vcmc{t,130}"], "rubygems": ["rubygems_{h,48}"], "crates": ["cio{a,32}"], "nuget": ["oy2{l,43}"],
    "docker": ["dckr_pat_{t,27}", "dckr_oat_{t,32}"], "jfrog": ["cmVmd{a,59}", "AKCp{a,69}"], "sonar": ["squ_{h,40}", "sqp_{h,40}"],
    "sourcegraph": ["sgp_{h,40}", "sgp_local_{h,40}", "sgp_{h,16}_{h,40}"], "buildkite": ["bkua_{h,40}"],
    "harness": ["pat.{t,22}.{h,24}.{a,20}"], "octopus": ["API-{U,26}"], "postman": ["PMAK-{h,24}-{h,34}"], "readme": ["rdme_{l,70}"],
    "prefect": ["pnu_{a,36}"], "databricks": ["dapi{h,32}", "dapi{h,32}-2"], "planetscale": ["pscale_tkn_{t,43}", "pscale_pw_{t,43}"],
    "airtable": ["pat{a,14}.{h,64}"], "notion": ["ntn_{n,11}{a,35}", "secret_{a,43}"], "linear": ["lin_api_{a,40}"],
    "figma": ["figd_{t,40}"], "contentful": ["CFPAT-{t,43}"], "typeform": ["tfp_{t,59}"],
    "grafana": ["glsa_{a,32}_{h,8}", "glc_{b,80}="], "dynatrace": ["dt0c01.{U,24}.{U,64}"],
    "new_relic": ["NRAK-{U,27}", "NRJS-{h,19}", "NRII-{a,32}"], "sentry": ["sntryu_{h,64}"], "shopify": ["shpat_{h,32}", "shpss_{h,32}", "shpca_{h,32}"],
    "square": ["EAAA{t,60}", "sq0csp-{t,43}", "sq0atp-{t,22}"], "frameio": ["fio-u-{t,64}"],
    "openai": ["sk-proj-{t,74}T3BlbkFJ{t,74}", "sk-{a,20}T3BlbkFJ{a,20}", "sk-svcacct-{t,58}T3BlbkFJ{t,58}"],
    "anthropic": ["sk-ant-api03-{t,93}AA", "sk-ant-admin01-{t,93}AA"], "openrouter": ["sk-or-v1-{h,64}"], "hugging_face": ["hf_{L,34}"],
    "replicate": ["r8_{a,37}"], "groq": ["gsk_{a,52}"], "xai": ["xai-{a,80}"], "perplexity": ["pplx-{a,48}"],
    "langsmith": ["lsv2_pt_{h,32}_{h,10}"], "nvidia": ["nvapi-{t,64}"], "tavily": ["tvly-dev-{a,32}"], "elevenlabs": ["sk_{h,48}"],
    "slack": ["xoxb-{n,12}-{n,13}-{a,24}", "xoxp-{n,12}-{n,12}-{n,13}-{h,32}", "xapp-1-A{U,10}-{n,13}-{h,64}",
              "xoxe.xoxp-1-{a,166}", "https://hooks.slack.com/services/T{U,8}/B{U,10}/{a,24}"],
    "discord": ["https://discord.com/api/webhooks/{n,18}/{t,68}", "MT{a,24}.{t,6}.{t,38}"],
    "teams": ["https://corp.webhook.office.com/webhookb2/{u}@{u}/IncomingWebhook/{h,32}/{u}"],
    "telegram": ["{n,10}:AA{t,33}"], "stripe": ["sk_live_{a,24}", "rk_live_{a,99}", "sk_test_{a,24}", "whsec_{a,32}"],
    "razorpay": ["rzp_live_{a,14}"], "flutterwave": ["FLWSECK_TEST-{f,12}", "FLWSECK-{f,32}-X"], "easypost": ["EZAK{h,54}", "EZTK{h,54}"],
    "shippo": ["shippo_live_{h,40}"], "twilio": ["SK{h,32}"], "sendgrid": ["SG.{t,22}.{t,43}"], "sendinblue": ["xkeysib-{h,64}-{a,16}"],
    "mailgun": ["key-{h,32}"], "mailchimp": ["{h,32}-us14"], "resend": ["re_{a,8}_{a,24}"], "facebook": ["EAAM{a,120}"],
    "plaid": ["access-sandbox-{u}"], "duffel": ["duffel_test_{t,43}"], "dropbox": ["sl.{t,140}"],
    "tailscale": ["tskey-auth-{a,16}-{a,32}"], "artifactory_ref": ["cmVmd{a,59}"], "defined": ["dnkey-{t,26}-{t,52}"],
    "settlemint": ["sm_pat_{a,16}"], "terraform": ["{a,14}.atlasv1.{t,67}"], "hermetic": ["hmk_{t,43}"],
    "jwt": ["eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{t,60}.{t,43}"],
    "adobe_secret": ["p8e-{l,32}"], "clickhouse": ["4b1d{a,38}"], "kubernetes_sa": ["eyJhbGciOiJSUzI1NiIsImtpZCI6Ii{t,30}.eyJ{t,120}.{t,80}"],
    "private_key": ["-----BEGIN RSA PRIVATE KEY-----\n{b,64}\n{b,64}\n{b,40}\n-----END RSA PRIVATE KEY-----",
                    "-----BEGIN OPENSSH PRIVATE KEY-----\n{b,64}\n{b,70}\n-----END OPENSSH PRIVATE KEY-----",
                    "-----BEGIN PRIVATE KEY-----\n{b,64}\n{b,64}\n-----END PRIVATE KEY-----"],
    "url_password": ["postgres://app:{a,18}@db.internal:5432/app", "https://deploy:{t,24}@git.internal/x.git",
                     "mongodb+srv://root:{a,16}@cluster0.internal/test", "redis://:{a,20}@cache:6379/0", "amqp://svc:{a,12}@mq:5672"],
}
# Known by the name they are assigned to: name, format.
ASSIGNED = {
    "adafruit_api_key": "{t,32}", "algolia_api_key": "{l,32}", "alibaba_secret_key": "{l,30}", "asana_client_secret": "{l,32}",
    "atlassian_api_token": "{l,20}{h,4}", "jira_token": "{l,20}{h,4}", "aws_secret_access_key": "{b,40}", "AWS_SECRET_KEY": "{b,40}",
    "bitbucket_client_secret": "{t,64}", "bittrex_secret_key": "{l,32}", "meraki_api_key": "{h,40}", "cloudflare_api_key": "{h,37}",
    "cloudflare_api_token": "{t,40}", "codecov_token": "{l,32}", "cohere_api_key": "{a,40}", "coinbase_access_token": "{t,64}",
    "confluent_secret": "{b,64}", "contentful_delivery_token": "{t,43}", "datadog_access_token": "{h,40}", "DD_API_KEY": "{h,32}",
    "discord_client_secret": "{t,32}", "droneci_access_token": "{l,32}", "etsy_access_token": "{l,24}", "facebook_app_secret": "{h,32}",
    "fastly_api_token": "{t,32}", "finicity_client_secret": "{l,20}", "finnhub_token": "{l,20}", "flickr_access_token": "{l,32}",
    "freshbooks_access_token": "{l,64}", "gitter_access_token": "{t,40}", "hubspot_api_key": "{u}", "intercom_api_key": "{t,60}",
    "jumpcloud_api_key": "{a,40}", "kraken_access_token": "{b,80}", "kucoin_access_token": "{h,24}", "linkedin_client_secret": "{l,16}",
    "mailchimp_api_key": "{h,32}-us20", "mattermost_access_token": "{l,26}", "maxmind_license_key": "{a,6}_{a,29}_mmk",
    "messagebird_api_token": "{l,25}", "mistral_api_key": "{a,32}", "netlify_access_token": "{t,43}", "okta_access_token": "00{t,40}",
    "pagerduty_api_key": "{t,20}", "plaid_secret_key": "{l,30}", "rapidapi_key": "{t,50}", "segment_api_key": "{a,32}",
    "sendbird_access_token": "{h,40}", "sentry_access_token": "{h,64}", "slack_signing_secret": "{h,32}", "snyk_token": "{u}",
    "splunk_hec_token": "{u}", "spotify_client_secret": "{h,32}", "squarespace_access_token": "{u}", "sumologic_access_key": "{l,64}",
    "travisci_access_token": "{l,22}", "trello_access_token": "{a,32}", "twilio_auth_token": "{h,32}", "twitch_api_token": "{l,30}",
    "twitter_access_secret": "{l,45}", "yandex_api_key": "AQVN{t,36}", "zendesk_secret_key": "{l,40}", "zoom_client_secret": "{a,32}",
    # Of nobody in particular.
    "api_key": "{a,32}", "API_KEY": "{h,32}", "secret_key": "{t,50}", "client_secret": "{a,40}", "auth_token": "{t,36}",
    "access_token": "{a,40}", "db_password": "{a,16}", "DB_PASSWORD": "{a,9}#{a,8}", "encryption_key": "{b,44}", "signing_secret": "{h,64}",
    "session_secret": "{h,40}", "webhook_secret": "{a,24}", "service_token": "{a,28}", "private_token": "{t,20}", "appSecret": "{l,32}",
}
# Where secrets stand.
FRAMES = {
    "env": ["{N}={v}\n", "export {N}={v}\n", "PORT=8080\n{N}=\"{v}\"\nDEBUG=0\n"],
    "yaml": ["  {n}: {v}\n", "env:\n  - name: {N}\n    value: \"{v}\"\n", "  {n}: \"{v}\"\n"],
    "json": ["{{\"{n}\": \"{v}\"}}", "{{\n  \"user\": \"svc\",\n  \"{n}\": \"{v}\",\n  \"retries\": 3\n}}"],
    "code": ["{n} = \"{v}\"\n", "const {n} = '{v}';\n", "    client = Client({n}=\"{v}\", timeout=3)\n", "let {n} = String::from(\"{v}\");\n",
             "{n} := \"{v}\"\n"],
    "prose": ["Here is the {n}: {v} - please do not share it.\n", "My {n} is \"{v}\", why do I get 401?\n"],
    "log": ["2026-11-28 10:12:01 INFO loaded {n}={v} from vault\n"],
}
# The ones that need no name also stand without one.
BARE = ["Why does {v} not work any more?\n", "curl -H \"Authorization: token {v}\" https://x.internal/\n", "set it to `{v}` and retry\n",
        "<add value=\"{v}\"/>\n"]
LETTERS = {
    "a": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "l": "abcdefghijklmnopqrstuvwxyz0123456789",
    "U": "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "h": "0123456789abcdef", "H": "0123456789ABCDEF", "n": "0123456789",
    "L": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "r": "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
    "t": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", "f": "abcdefgh0123456789",
    "b": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "q": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
}


def made(form, chance):
    def fill(found):
        kind, length = found.group(1), found.group(2)
        if kind == "u":
            return str(uuid.UUID(int=chance.getrandbits(128), version=4))
        drawn = "".join(chance.choice(LETTERS[kind]) for _ in range(int(length)))
        # Issuers' random parts begin and end with a letter or digit more often than not; a sign at the end is not told from
        # the punctuation behind it by anybody.
        return drawn[:-1] + chance.choice(LETTERS["l" if kind in "tb" else kind])
    return re.sub(r"\{(\w)(?:,(\d+))?\}", fill, form)


def positives():
    """Of (kind, place, text, start, end): what is secret stands between them."""
    chance = random.Random(SEED)
    rows = []
    for kind, forms in TOKENS.items():
        for _ in range(EACH):
            value = made(chance.choice(forms), chance)
            place = chance.choice([*FRAMES, "bare"])
            frame = chance.choice(BARE if place == "bare" else FRAMES[place])
            name = chance.choice(["token", "value", "credential", "key", kind])
            rows.append(row(kind, place, frame, name, value))
    for name, form in ASSIGNED.items():
        for _ in range(EACH):
            place = chance.choice([place for place in FRAMES])
            rows.append(row("=" + name, place, chance.choice(FRAMES[place]), name, made(form, chance)))
    return rows


def row(kind, place, frame, name, value):
    text = frame.format(n=name, N=name.upper(), v="\0")
    start = text.index("\0")
    return kind, place, text.replace("\0", value), start, start + len(value)


def ours(findings, texts, *arguments):
    asked = "".join((text if arguments else json.dumps(text)) + "\n" for text in texts)
    answered = subprocess.run([findings, "--no-names", *arguments], input=asked, capture_output=True, text=True, check=True)
    for line in answered.stdout.splitlines():
        yield [found for found in json.loads(line) if found[0].startswith("secret.")]


def secret_part(text, start, end):
    """Where, of a whole URL or connection string, the secret stands."""
    value = text[start:end]
    inner = re.search(r"://[^:/@\s]*:([^@\s]+)@", value) or re.search(r"AccountKey=(\S+)", value) or re.search(r"^https://(\S+)", value)
    return (start + inner.start(1), start + inner.end(1)) if inner else (start, end)


def covers(found, start, end):
    here = {at for s, e in found for at in range(max(s, start), min(e, end))}
    return len(here) * 10 >= (end - start) * 9


def by_detect_secrets(texts):
    """Values that detect-secrets finds in each text, with all plugins it has."""
    from detect_secrets.core import scan
    from detect_secrets.settings import default_settings
    for text in texts:
        with default_settings():
            values = []
            for line in text.splitlines():
                values += [found.secret_value for found in scan.scan_line(line)]
            yield values


def recall(findings):
    rows = positives()
    texts = [text for _, _, text, _, _ in rows]
    hits, by_place, missed = collections.Counter(), collections.Counter(), []
    totals, place_totals = collections.Counter(), collections.Counter()
    for (kind, place, text, start, end), found in zip(rows, ours(findings, texts)):
        start, end = secret_part(text, start, end)
        hit = covers([(s, e) for _, s, e in found], start, end)
        totals[kind] += 1
        place_totals[place] += 1
        hits[kind] += hit
        by_place[place] += hit
        if not hit:
            missed.append((kind, place, text, [rule for rule, _, _ in found]))
    theirs = 0
    for (kind, place, text, start, end), values in zip(rows, by_detect_secrets(texts)):
        start, end = secret_part(text, start, end)
        theirs += any(value in text[start:end] or text[start:end] in value for value in values if len(value) > 5)
    return {
        "positives": len(rows), "recall": round(sum(hits.values()) / len(rows), 4),
        "detect_secrets_recall": round(theirs / len(rows), 4),
        "by_place": {place: {"recall": round(by_place[place] / n, 4), "support": n} for place, n in sorted(place_totals.items())},
        "by_kind_below_one": {kind: {"recall": round(hits[kind] / n, 4), "support": n}
                              for kind, n in sorted(totals.items()) if hits[kind] < n},
    }, missed


def sources(megabytes):
    """Source files that hold no secrets on purpose: the same ones on the same installation, about so many MB of each kind."""
    cargo = pathlib.Path.home() / ".cargo" / "registry" / "src"
    paths = sysconfig.get_paths()
    for name, root, ending in (("python", pathlib.Path(paths["stdlib"]), "*.py"),
                               ("python packages", pathlib.Path(paths["purelib"]), "*.py"), ("rust crates", cargo, "*.rs")):
        files = [path for path in root.rglob(ending) if path.is_file()]
        files.sort(key=lambda path: hashlib.sha256(f"{SEED} {path.relative_to(root)}".encode()).digest())
        chosen, size = [], 0
        for path in files:
            if size > megabytes * 1e6:
                break
            chosen.append(path)
            size += path.stat().st_size
        yield name, chosen, size


def false_alarms(findings, megabytes=20):
    result, shown = {}, []
    for name, files, size in sources(megabytes):
        alarms = collections.Counter()
        for path, found in zip(files, ours(findings, [str(path) for path in files], "--files")):
            for rule, start, end in found:
                alarms[rule] += 1
                content = path.read_bytes()
                shown.append((name, rule, str(path), content[max(0, start - 60):end + 20].decode(errors="replace")))
        result[name] = {"mb": round(size / 1e6, 1), "alarms": sum(alarms.values()),
                        "per_mb": round(sum(alarms.values()) / (size / 1e6), 3), "rules": dict(alarms.most_common())}
    return result, shown


def run(findings):
    found, _ = recall(findings)
    alarms, _ = false_alarms(findings)
    total = sum(kind["mb"] for kind in alarms.values())
    return {**found, "seed": SEED, "false_alarms": alarms,
            "false_alarms_per_mb": round(sum(kind["alarms"] for kind in alarms.values()) / total, 3)}


if __name__ == "__main__":
    result, missed = recall(sys.argv[1])
    print(json.dumps(result, indent=1))
    seen = collections.Counter()
    for kind, place, text, rules in missed:
        seen[kind] += 1
        if seen[kind] <= 2:
            print(kind, place, repr(text[:150]), rules)
    if "--alarms" in sys.argv:
        alarms, shown = false_alarms(sys.argv[1])
        print(json.dumps(alarms, indent=1))
        by_rule = collections.Counter()
        for name, rule, path, text in shown:
            by_rule[rule] += 1
            if by_rule[rule] <= 12:
                print(rule, "|", path[-40:], "|", repr(text[-150:]))
