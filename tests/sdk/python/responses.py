"""The Responses API of the stock OpenAI Python SDK against a running Hermetic.

Takes BASE_URL, API_KEY and CHAT_MODEL from the environment and exits with 1 at the first mismatch.
Needs: pip install openai
"""

import os
import sys

import openai

CHAT_MODEL = os.environ["CHAT_MODEL"]
ASK = {"model": CHAT_MODEL, "instructions": "You are brief.", "input": "Say hello in one short sentence.",
       "max_output_tokens": 24, "temperature": 0}


def check(claim, holds, found=""):
    print(("ok    " if holds else "FAIL  ") + claim + ("" if holds else f": {found!r}"))
    if not holds:
        sys.exit(1)


client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], timeout=300, max_retries=0)

plain = client.responses.create(**ASK)
check("a response has text", bool(plain.output_text), plain)
check("a response counts its tokens", plain.usage.input_tokens > 0 and plain.usage.output_tokens > 0, plain.usage)
check("a response says how it ended", plain.status in ("completed", "incomplete"), plain.status)
check("a response is not stored", plain.store is False, plain.store)

kinds, text, final = [], "", None
for event in client.responses.create(**ASK, stream=True):
    kinds.append(event.type)
    if event.type == "response.output_text.delta":
        text += event.delta
    if event.type in ("response.completed", "response.incomplete"):
        final = event.response
check("a stream begins as it should", kinds[:2] == ["response.created", "response.in_progress"], kinds[:2])
check("a stream says what a plain response says", text == plain.output_text == final.output_text, (text, plain.output_text))
check("a stream counts what a plain response counts", final.usage.output_tokens == plain.usage.output_tokens, final.usage)

chat = client.chat.completions.create(
    model=CHAT_MODEL, max_tokens=24, temperature=0,
    messages=[{"role": "system", "content": ASK["instructions"]}, {"role": "user", "content": ASK["input"]}])
check("the engine was asked what chat completions ask", chat.choices[0].message.content == plain.output_text,
      (chat.choices[0].message.content, plain.output_text))

try:
    client.responses.create(**ASK, previous_response_id="resp_1")
    check("an earlier response cannot be named", False, "no error")
except openai.BadRequestError as error:
    check("an earlier response cannot be named", error.code == "E0824" and error.param == "previous_response_id", error.body)
