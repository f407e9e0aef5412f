"""The stock Anthropic Python SDK."""

import anthropic
from features import (API_KEY, CHAT_MODEL, MOOD, MOOD_QUESTION, PROMPT, ROOT_URL, STRANGER, WEATHER, WEATHER_QUESTION, claim,
                      feature, is_mood, is_weather, made, not_offered, refused, report)

client = anthropic.Anthropic(base_url=ROOT_URL, api_key=API_KEY, timeout=300, max_retries=0)
NO = (anthropic.BadRequestError,)
SYSTEM = "You are brief."
# The same answer each time; newer SDKs no longer name it.
STEADY = {"extra_body": {"temperature": 0}}
ASK = {"model": CHAT_MODEL, "system": SYSTEM, "messages": PROMPT, "max_tokens": 24, **STEADY}
TOOLS = {"model": CHAT_MODEL, "max_tokens": 200, "messages": [{"role": "user", "content": WEATHER_QUESTION}], **STEADY,
         "tools": [{"name": "get_weather", "description": "The weather in a city.", "input_schema": WEATHER, "strict": True}],
         "tool_choice": {"type": "any"}}


def read_of(usage):
    """Tokens of the prompt. Anthropic counts those apart that an engine had in its cache."""
    return usage.input_tokens + (usage.cache_read_input_tokens or 0)


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


@feature("chat")
def plain():
    answer = client.messages.create(**ASK)
    claim(text_of(answer) and (answer.type, answer.role) == ("message", "assistant"), answer)
    claim(read_of(answer.usage) > 0 and answer.usage.output_tokens > 0, answer.usage)
    claim(answer.stop_reason in ("end_turn", "max_tokens") and (answer._request_id or "").startswith("req_"), answer)
    blocks = [{"role": "user", "content": [{"type": "text", "text": PROMPT[0]["content"]}]}]
    same = client.messages.create(**{**ASK, "system": [{"type": "text", "text": SYSTEM}], "messages": blocks})
    claim(text_of(same) == text_of(answer), same)


@feature("streaming")
def streamed():
    answer = client.messages.create(**ASK)
    with client.messages.stream(**ASK) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    claim(text == text_of(answer) and final.stop_reason == answer.stop_reason, text, answer)


@feature("usage of streams")
def streamed_usage():
    usage = client.messages.create(**ASK).usage
    with client.messages.stream(**ASK) as stream:
        told = stream.get_final_message().usage
    claim((read_of(told), told.output_tokens) == (read_of(usage), usage.output_tokens), told, usage)


@feature("leaving a stream")
def left():
    with client.messages.stream(**{**ASK, "max_tokens": 200}) as stream:
        next(iter(stream.text_stream))
    claim(text_of(client.messages.create(**ASK)))


def is_call(message):
    calls = [block for block in message.content if block.type == "tool_use"]
    made(calls)
    claim(message.stop_reason == "tool_use" and calls[0].name == "get_weather", message)
    for call in calls:
        is_weather(call.input)
    return calls


@feature("tools", NO)
def tools():
    answer = client.messages.create(**TOOLS)
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in is_call(answer)]
    said = [{"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]},
            {"role": "user", "content": results}]
    more = client.messages.create(**{**TOOLS, "tool_choice": {"type": "none"}, "messages": TOOLS["messages"] + said})
    claim(text_of(more) and more.stop_reason != "tool_use", more)


@feature("tools, streamed", NO)
def tools_streamed():
    with client.messages.stream(**TOOLS) as stream:
        is_call(stream.get_final_message())


@feature("several tool calls", NO)
def parallel():
    """Both calls are in the conversation already: whether a small model calls twice by itself is its own affair."""
    calls = [{"type": "tool_use", "id": f"call_{city}", "name": "get_weather", "input": {"city": city}}
             for city in ("Paris", "Rome")]
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"} for call in calls]
    said = [{"role": "assistant", "content": calls}, {"role": "user", "content": results}]
    is_call(client.messages.create(**{**TOOLS, "messages": TOOLS["messages"] + said}))


@feature("JSON schema", NO)
def json_schema():
    shape = {"format": {"type": "json_schema", "schema": MOOD}}
    answer = client.messages.create(model=CHAT_MODEL, max_tokens=60, messages=MOOD_QUESTION, output_config=shape, **STEADY)
    is_mood(text_of(answer))


for name in ("log-probabilities", "several answers", "seed", "completions", "embeddings"):
    not_offered(name, "not in Anthropic's Messages")


@feature("models")
def models():
    claim(CHAT_MODEL in {model.id for model in client.models.list()})


@feature("token count")
def count():
    counted = client.messages.count_tokens(model=CHAT_MODEL, system=SYSTEM, messages=PROMPT)
    claim(counted.input_tokens == read_of(client.messages.create(**ASK).usage), counted)


@feature("errors")
def errors():
    refused(anthropic.AuthenticationError, 401, lambda: client.with_options(api_key=STRANGER).messages.create(**ASK))
    refused(anthropic.NotFoundError, 404, lambda: client.messages.create(**{**ASK, "model": "nobody-knows"}))
    search = [{"type": "web_search_20250305", "name": "web_search"}]
    refused(anthropic.BadRequestError, 400, lambda: client.messages.create(**ASK, tools=search), code="E0824")


for name in ("responses", "responses, streamed", "responses, tools", "responses, JSON schema"):
    not_offered(name, "OpenAI's own")


if __name__ == "__main__":
    report("Anthropic Python", "anthropic")
