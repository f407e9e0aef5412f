"""The stock OpenAI Python SDK against responses that a running Hermetic keeps.

Takes BASE_URL, API_KEY and CHAT_MODEL from the environment and exits with 1 at the first mismatch.
"""

import os
import sys

import openai

ASK = {"model": os.environ["CHAT_MODEL"], "max_output_tokens": 16, "temperature": 0}


def check(claim, holds, found=""):
    print(("ok    " if holds else "FAIL  ") + claim + ("" if holds else f": {found!r}"))
    if not holds:
        sys.exit(1)


def gone(ask):
    try:
        ask()
        return False
    except openai.NotFoundError as error:
        return error.code == "E0870"


def text(item):
    return item.content[0].text


client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], timeout=300, max_retries=0)

first = client.responses.create(**ASK, instructions="You are brief.", input="My name is Ada.", metadata={"from": "sdk"})
check("a response is kept", first.store is True and first.id.startswith("resp_"), first)
again = client.responses.retrieve(first.id)
check("it is shown as it was told", again.model_dump() == first.model_dump(), again)
second = client.responses.create(**ASK, input="What is my name?", previous_response_id=first.id)
check("a conversation goes on", second.previous_response_id == first.id and second.instructions is None, second)
check("what was said before counts", second.usage.input_tokens > first.usage.input_tokens, second.usage)
items = list(client.responses.input_items.list(second.id, order="asc"))
check("its input is the whole conversation", [text(item) for item in items] == ["My name is Ada.", first.output_text, "What is my name?"], items)
pages = list(client.responses.input_items.list(second.id, limit=1))
check("page by page it is the same", [item.id for item in pages] == [item.id for item in reversed(items)], pages)

with client.responses.stream(**ASK, input="Once more.", previous_response_id=second.id) as stream:
    # Of an answer this short the end may be `response.incomplete`, which the SDK's own helper does not count as one.
    third = list(stream)[-1].response
check("a stream goes on and is kept", third.store is True and third.previous_response_id == second.id, third)
check("it is there when its stream has ended", client.responses.retrieve(third.id).output_text == third.output_text)

declined = client.responses.create(**ASK, input="Forget this.", store=False)
check("a response that is declined is not kept", declined.store is False and gone(lambda: client.responses.retrieve(declined.id)), declined)

client.responses.delete(first.id)
check("a response that was deleted is gone", gone(lambda: client.responses.retrieve(first.id)))
try:
    client.responses.create(**ASK, input="And now?", previous_response_id=third.id)
    check("a conversation that lost a link cannot be gone on from", False)
except openai.BadRequestError as error:
    check("a conversation that lost a link cannot be gone on from", error.code == "previous_response_not_found", error.body)
for response in (second, third):
    client.responses.delete(response.id)
