"""The stock OpenAI Python SDK: Chat Completions, Completions, Embeddings, Models. Its Responses are in openai_responses.py."""

import openai
from features import (API_KEY, BASE_URL, CHAT_MODEL, EMBED_MODEL, MOOD_QUESTION, PROMPT, STRANGER, TEXTS, WEATHER,
                      WEATHER_QUESTION, alike, claim, feature, is_weather, made, not_offered, refused, report)
from shapes import Mood

client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, timeout=300, max_retries=0)
chat = client.chat.completions
NO = (openai.BadRequestError,)
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER,
                                         "strict": True}}
TOOLS = {"model": CHAT_MODEL, "temperature": 0, "max_tokens": 200, "tools": [TOOL], "tool_choice": "required",
         "messages": [{"role": "user", "content": WEATHER_QUESTION}]}
ASK = {"model": CHAT_MODEL, "messages": PROMPT, "max_tokens": 24, "temperature": 0, "seed": 7}


@feature("chat")
def plain():
    answer = chat.create(**ASK)
    claim(answer.choices[0].message.content and answer.choices[0].finish_reason in ("stop", "length"), answer)
    claim(answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0, answer.usage)
    raw = chat.with_raw_response.create(**{**ASK, "max_tokens": 4})
    claim((raw.request_id or "").startswith("req_"), raw.request_id)
    claim(int(raw.headers["x-hermetic-settled"]) > int(raw.headers["x-hermetic-admitted"]), raw.headers)


@feature("streaming")
def streamed():
    chunks = list(chat.create(**ASK, stream=True))
    claim(len(chunks) > 2 and all(len(chunk.choices) == 1 for chunk in chunks), len(chunks))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices[0].finish_reason]
    claim(len(reasons) == 1 and reasons[0] in ("stop", "length"), reasons)
    claim(text == chat.create(**ASK).choices[0].message.content, text)


@feature("usage of streams")
def streamed_usage():
    told = [chunk.usage for chunk in chat.create(**ASK, stream=True, stream_options={"include_usage": True}) if chunk.usage]
    usage = chat.create(**ASK).usage
    claim(len(told) == 1 and told[0].completion_tokens == usage.completion_tokens, told, usage)
    claim(told[0].prompt_tokens == usage.prompt_tokens, told, usage)


@feature("leaving a stream")
def left():
    with chat.create(**{**ASK, "max_tokens": 200}, stream=True) as stream:
        next(iter(stream))
    claim(chat.create(**ASK).choices[0].message.content)


@feature("tools", NO)
def tools():
    answer = chat.create(**TOOLS).choices[0]
    calls = made(answer.message.tool_calls)
    claim(answer.finish_reason == "tool_calls" and calls[0].function.name == "get_weather", answer)
    is_weather(calls[0].function.arguments)
    said = [answer.message.model_dump(exclude_none=True)]
    results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    more = chat.create(**{**TOOLS, "tool_choice": "none", "messages": TOOLS["messages"] + said + results})
    claim(more.choices[0].message.content and not more.choices[0].message.tool_calls, more)


@feature("tools, streamed", NO)
def tools_streamed():
    name, arguments, reason = "", "", None
    for chunk in chat.create(**TOOLS, parallel_tool_calls=False, stream=True):
        for call in chunk.choices[0].delta.tool_calls or ():
            name, arguments = name + (call.function.name or ""), arguments + (call.function.arguments or "")
        reason = chunk.choices[0].finish_reason or reason
    made(name)
    claim((name, reason) == ("get_weather", "tool_calls"), name, reason)
    is_weather(arguments)


@feature("several tool calls", NO)
def parallel():
    """Both calls are in the conversation already: whether a small model calls twice by itself is its own affair."""
    calls = [{"id": f"call_{city}", "type": "function",
              "function": {"name": "get_weather", "arguments": f'{{"city":"{city}"}}'}} for city in ("Paris", "Rome")]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in calls]
    said = [{"role": "assistant", "content": None, "tool_calls": calls}]
    ask = {**TOOLS, "messages": TOOLS["messages"] + said + results, "parallel_tool_calls": True}
    answer = chat.create(**ask).choices[0]
    for call in made(answer.message.tool_calls):
        is_weather(call.function.arguments)
    claim(len({call.id for call in answer.message.tool_calls}) == len(answer.message.tool_calls), answer)


@feature("JSON schema", NO)
def json_schema():
    answer = chat.parse(model=CHAT_MODEL, messages=MOOD_QUESTION, response_format=Mood, max_tokens=60, temperature=0)
    claim(isinstance(answer.choices[0].message.parsed, Mood), answer)


@feature("log-probabilities", NO)
def logprobs():
    answer = chat.create(**ASK, logprobs=True, top_logprobs=2)
    content = answer.choices[0].logprobs.content
    claim(content and all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in content), content)
    told = chat.create(**ASK, logprobs=True, top_logprobs=2, stream=True)
    pieces = [token.token for chunk in told for choice in chunk.choices if choice.logprobs for token in choice.logprobs.content]
    # Some engines tell in a plain answer of the token that ended it as well.
    claim(pieces and pieces == [token.token for token in content][:len(pieces)] and len(content) - len(pieces) < 2, pieces, content)


@feature("several answers", NO)
def several():
    answer = chat.create(**{**ASK, "temperature": 1, "n": 2})
    claim([choice.index for choice in answer.choices] == [0, 1], answer)
    claim(all(choice.message.content for choice in answer.choices), answer)
    indices = {choice.index for chunk in chat.create(**{**ASK, "n": 2}, stream=True) for choice in chunk.choices}
    claim(indices == {0, 1}, indices)


@feature("seed", NO)
def seed():
    def once(number):
        return chat.create(**{**ASK, "temperature": 1, "seed": number}).choices[0].message.content
    claim(once(1) == once(1))
    claim(len({once(number) for number in range(1, 5)}) > 1)


@feature("completions", NO)
def completions():
    ask = {"model": CHAT_MODEL, "prompt": "The capital of France is", "max_tokens": 4, "temperature": 0}
    answer = client.completions.create(**ask)
    text = "".join(chunk.choices[0].text for chunk in client.completions.create(**ask, stream=True) if chunk.choices)
    claim(answer.choices[0].text and text == answer.choices[0].text, answer, text)


@feature("embeddings", NO)
def embeddings():
    answer = client.embeddings.create(model=EMBED_MODEL, input=TEXTS)
    claim([item.index for item in answer.data] == [0, 1, 2] and answer.usage.prompt_tokens > 0, answer.usage)
    alike([item.embedding for item in answer.data])
    floats = client.embeddings.create(model=EMBED_MODEL, input=TEXTS[0], encoding_format="float").data[0].embedding
    claim(max(abs(a - b) for a, b in zip(floats, answer.data[0].embedding)) < 1e-3)


@feature("models")
def models():
    claim({CHAT_MODEL, EMBED_MODEL} <= {model.id for model in client.models.list()})
    claim(client.models.retrieve(CHAT_MODEL).id == CHAT_MODEL)


not_offered("token count", "OpenAI's API has none for chat")


@feature("errors")
def errors():
    stranger = client.with_options(api_key=STRANGER)
    refused(openai.AuthenticationError, 401, lambda: stranger.chat.completions.create(**ASK))
    refused(openai.NotFoundError, 404, lambda: chat.create(**{**ASK, "model": "nobody-knows"}))
    refused(openai.BadRequestError, 400, lambda: chat.create(**{**ASK, "max_tokens": "many"}))
    # Where policy keeps this caller to chat models, it speaks first: 403 instead of 400.
    try:
        chat.create(**{**ASK, "model": EMBED_MODEL})
        claim(False, "an embedding model chats")
    except (openai.BadRequestError, openai.PermissionDeniedError) as error:
        claim(error.code.startswith("E"), error)


if __name__ == "__main__":
    report("OpenAI Python", "openai")
