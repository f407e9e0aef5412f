"""The stock OpenAI Python SDK against a running Hermetic.

Takes BASE_URL, API_KEY, CHAT_MODEL and EMBED_MODEL from the environment and exits with 1 at the first mismatch.
Needs: pip install openai
"""

import os
import sys

import openai

BASE_URL = os.environ["BASE_URL"]
API_KEY = os.environ["API_KEY"]
CHAT_MODEL = os.environ["CHAT_MODEL"]
EMBED_MODEL = os.environ["EMBED_MODEL"]

PROMPT = [{"role": "user", "content": "Say hello in one short sentence."}]


def check(claim, holds, found=""):
    print(("ok    " if holds else "FAIL  ") + claim + ("" if holds else f": {found!r}"))
    if not holds:
        sys.exit(1)


def refused(claim, kind, status, call):
    """`call` must raise the SDK's own error class `kind` with our code and message."""
    statuses = status if isinstance(status, tuple) else (status,)
    try:
        call()
    except kind as error:
        check(claim, error.status_code in statuses and str(error.code).startswith("E"), (error.status_code, error.code))
        return
    check(claim, False, "no error")


client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, timeout=300)

models = {model.id for model in client.models.list()}
check("models lists the chat and the embedding model", {CHAT_MODEL, EMBED_MODEL} <= models, models)
check("a model is retrieved by name", client.models.retrieve(CHAT_MODEL).id == CHAT_MODEL)

plain = client.chat.completions.create(model=CHAT_MODEL, messages=PROMPT, max_tokens=24, temperature=0, seed=7)
check("a plain answer has text", bool(plain.choices[0].message.content), plain)
check("a plain answer counts its tokens", plain.usage.prompt_tokens > 0 and plain.usage.completion_tokens > 0, plain.usage)
check("a plain answer says why it stopped", plain.choices[0].finish_reason in ("stop", "length"), plain.choices[0])

raw = client.chat.completions.with_raw_response.create(model=CHAT_MODEL, messages=PROMPT, max_tokens=4, temperature=0)
check("an answer names its request", (raw.request_id or "").startswith("req_"), raw.request_id)
check("an answer names its records", int(raw.headers["x-hermetic-settled"]) > int(raw.headers["x-hermetic-admitted"]))

text, reasons, chunks = "", [], 0
with client.chat.completions.create(
    model=CHAT_MODEL, messages=PROMPT, max_tokens=24, temperature=0, seed=7, stream=True
) as stream:
    for chunk in stream:
        chunks += 1
        check_choices = len(chunk.choices) == 1
        if not check_choices:
            check("a stream without include_usage has a choice in every chunk", False, chunk)
        text += chunk.choices[0].delta.content or ""
        if chunk.choices[0].finish_reason:
            reasons.append(chunk.choices[0].finish_reason)
check("a stream comes in several chunks", chunks > 1, chunks)
check("a stream says the same as the plain answer", text == plain.choices[0].message.content, text)
check("a stream says once why it stopped", len(reasons) == 1 and reasons[0] in ("stop", "length"), reasons)

usage = None
for chunk in client.chat.completions.create(
    model=CHAT_MODEL, messages=PROMPT, max_tokens=8, temperature=0, stream=True, stream_options={"include_usage": True}
):
    usage = chunk.usage or usage
check("a stream reports usage when asked", usage is not None and usage.completion_tokens > 0, usage)

legacy = client.completions.create(model=CHAT_MODEL, prompt="The capital of France is", max_tokens=4, temperature=0)
check("a completion has text", bool(legacy.choices[0].text), legacy)

vectors = client.embeddings.create(model=EMBED_MODEL, input=["a red car", "a crimson automobile", "tax law"])
check("embeddings come in order", [item.index for item in vectors.data] == [0, 1, 2], vectors.data)


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / (sum(x * x for x in a) ** 0.5 * sum(y * y for y in b) ** 0.5)


car, automobile, law = (item.embedding for item in vectors.data)
check("embeddings know that a car is an automobile", cosine(car, automobile) > cosine(car, law))

impatient = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0)
stranger = openai.OpenAI(base_url=BASE_URL, api_key="hk_0000000000000000_" + "A" * 43, max_retries=0)
refused(
    "an unknown key is an AuthenticationError",
    openai.AuthenticationError,
    401,
    lambda: stranger.chat.completions.create(model=CHAT_MODEL, messages=PROMPT),
)
refused(
    "an unknown model is a NotFoundError",
    openai.NotFoundError,
    404,
    lambda: impatient.chat.completions.create(model=CHAT_MODEL + "-nope", messages=PROMPT),
)
refused(
    # Where policy keeps this caller to chat models, it speaks first: 403 instead of 400.
    "an embedding model asked to chat is refused",
    (openai.BadRequestError, openai.PermissionDeniedError),
    (400, 403),
    lambda: impatient.chat.completions.create(model=EMBED_MODEL, messages=PROMPT),
)
refused(
    "a field of the wrong type is a BadRequestError",
    openai.BadRequestError,
    400,
    lambda: impatient.chat.completions.create(model=CHAT_MODEL, messages=PROMPT, max_tokens="many"),
)
print("python sdk", openai.__version__, "ok")
