"""The stock Anthropic Python SDK against a running Hermetic.

Takes BASE_URL, API_KEY and CHAT_MODEL from the environment and exits with 1 at the first mismatch.
Needs: pip install anthropic
"""

import os
import sys

import anthropic

# Anthropic's base URL has no version in it.
BASE_URL = os.environ["BASE_URL"].removesuffix("/v1")
API_KEY = os.environ["API_KEY"]
CHAT_MODEL = os.environ["CHAT_MODEL"]

SYSTEM = "You are brief."
PROMPT = [{"role": "user", "content": "Say hello in one short sentence."}]
ASK = {"model": CHAT_MODEL, "system": SYSTEM, "messages": PROMPT, "max_tokens": 24,
       # The same answer each time; newer SDKs no longer name it.
       "extra_body": {"temperature": 0}}


def check(claim, holds, found=""):
    print(("ok    " if holds else "FAIL  ") + claim + ("" if holds else f": {found!r}"))
    if not holds:
        sys.exit(1)


def refused(claim, kind, status, call):
    """`call` must raise the SDK's own error class `kind` with our code."""
    try:
        call()
    except kind as error:
        code = (error.body or {}).get("error", {}).get("code", "")
        holds = error.status_code == status and code.startswith("E") and (error.request_id or "").startswith("req_")
        return check(claim, holds, (error.status_code, error.body, error.request_id))
    check(claim, False, "no error")


client = anthropic.Anthropic(base_url=BASE_URL, api_key=API_KEY, timeout=300, max_retries=0)

plain = client.messages.create(**ASK)
text = "".join(block.text for block in plain.content)
check("a message has text", bool(text) and plain.type == "message" and plain.role == "assistant", plain)
check("a message counts its tokens", plain.usage.input_tokens > 0 and plain.usage.output_tokens > 0, plain.usage)
check("a message says why it stopped", plain.stop_reason in ("end_turn", "max_tokens"), plain.stop_reason)
check("a message names its request", (plain._request_id or "").startswith("req_"), plain._request_id)

with client.messages.stream(**ASK) as stream:
    streamed = "".join(stream.text_stream)
    final = stream.get_final_message()
check("a stream says what a plain message says", streamed == text, (streamed, text))
check("a stream ends as a plain message does", final.stop_reason == plain.stop_reason, final)
check("a stream counts what a plain message counts", final.usage.output_tokens == plain.usage.output_tokens
      and final.usage.input_tokens == plain.usage.input_tokens, (final.usage, plain.usage))

counted = client.messages.count_tokens(model=CHAT_MODEL, system=SYSTEM, messages=PROMPT)
check("the tokens counted before are the tokens counted after", counted.input_tokens == plain.usage.input_tokens,
      (counted, plain.usage))

blocks = [{"role": "user", "content": [{"type": "text", "text": PROMPT[0]["content"]}]}]
same = client.messages.create(**{**ASK, "system": [{"type": "text", "text": SYSTEM}], "messages": blocks})
check("blocks of text are the text", "".join(block.text for block in same.content) == text, same)

with client.messages.stream(**ASK) as stream:
    next(iter(stream.text_stream))
check("a stream can be left", True)

refused("a stranger is refused", anthropic.AuthenticationError, 401,
        lambda: client.with_options(api_key="hk_nobody").messages.create(**ASK))
refused("an unknown model is not found", anthropic.NotFoundError, 404,
        lambda: client.messages.create(**{**ASK, "model": "nobody-knows"}))
search = [{"type": "web_search_20250305", "name": "web_search"}]
refused("a tool of Anthropic's own service is refused", anthropic.BadRequestError, 400,
        lambda: client.messages.create(**ASK, tools=search))
