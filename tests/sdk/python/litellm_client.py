"""LiteLLM as a client, by way of OpenAI's API and of Anthropic's."""

import os

# Otherwise it fetches a list of prices from the internet when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
from features import (API_KEY, BASE_URL, CHAT_MODEL, EMBED_MODEL, MOOD, MOOD_QUESTION, PROMPT, ROOT_URL, STRANGER, TEXTS,  # noqa: E402
                      WEATHER, WEATHER_QUESTION, alike, claim, feature, is_mood, is_weather, made, not_offered, refused, report)

NO = (litellm.BadRequestError,)
TO = {"api_base": BASE_URL, "api_key": API_KEY, "max_retries": 0}
ASK = {"model": f"openai/{CHAT_MODEL}", "messages": PROMPT, "max_tokens": 24, "temperature": 0, **TO}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER,
                                         "strict": True}}
TOOLS = {**ASK, "max_tokens": 200, "tools": [TOOL], "tool_choice": "required",
         "messages": [{"role": "user", "content": WEATHER_QUESTION}]}


@feature("chat")
def plain():
    answer = litellm.completion(**ASK)
    claim(answer.choices[0].message.content and answer.usage.completion_tokens > 0, answer)
    theirs = litellm.completion(**{**ASK, "model": f"anthropic/{CHAT_MODEL}", "api_base": ROOT_URL})
    claim(theirs.choices[0].message.content == answer.choices[0].message.content, theirs, answer)


@feature("streaming")
def streamed():
    text = "".join(chunk.choices[0].delta.content or "" for chunk in litellm.completion(**ASK, stream=True))
    claim(text == litellm.completion(**ASK).choices[0].message.content, text)


@feature("usage of streams")
def streamed_usage():
    told = [chunk.usage for chunk in litellm.completion(**ASK, stream=True, stream_options={"include_usage": True})
            if getattr(chunk, "usage", None)]
    claim(told and told[-1].completion_tokens == litellm.completion(**ASK).usage.completion_tokens, told)


@feature("tools", NO)
def tools():
    choice = litellm.completion(**TOOLS).choices[0]
    for call in made(choice.message.tool_calls):
        is_weather(call.function.arguments)


@feature("tools, streamed", NO)
def tools_streamed():
    chunks = list(litellm.completion(**TOOLS, stream=True))
    answer = litellm.stream_chunk_builder(chunks, messages=TOOLS["messages"])
    is_weather(made(answer.choices[0].message.tool_calls)[0].function.arguments)


@feature("JSON schema", NO)
def json_schema():
    shape = {"type": "json_schema", "json_schema": {"name": "mood", "strict": True, "schema": MOOD}}
    answer = litellm.completion(**{**ASK, "messages": MOOD_QUESTION, "max_tokens": 60}, response_format=shape)
    is_mood(answer.choices[0].message.content)


@feature("log-probabilities", NO)
def logprobs():
    answer = litellm.completion(**ASK, logprobs=True, top_logprobs=2)
    claim(len(answer.choices[0].logprobs.content[0].top_logprobs) == 2, answer)


@feature("several answers", NO)
def several():
    claim(len(litellm.completion(**{**ASK, "n": 2}).choices) == 2)


@feature("seed", NO)
def seed():
    once = [litellm.completion(**{**ASK, "temperature": 1, "seed": 3}).choices[0].message.content for _ in range(2)]
    claim(once[0] == once[1], once)


@feature("completions", NO)
def completions():
    answer = litellm.text_completion(model=f"text-completion-openai/{CHAT_MODEL}", prompt="The capital of France is",
                                     max_tokens=4, **TO)
    claim(answer.choices[0].text, answer)


@feature("embeddings", NO)
def embeddings():
    answer = litellm.embedding(model=f"openai/{EMBED_MODEL}", input=TEXTS, encoding_format="float", **TO)
    alike([item["embedding"] for item in answer.data])


@feature("responses", NO)
def responses():
    answer = litellm.responses(model=f"openai/{CHAT_MODEL}", input=PROMPT[0]["content"], max_output_tokens=24, **TO)
    claim(answer.status in ("completed", "incomplete") and answer.output[0].content[0].text, answer)


@feature("responses, streamed", NO)
def responses_streamed():
    events = list(litellm.responses(model=f"openai/{CHAT_MODEL}", input=PROMPT[0]["content"], max_output_tokens=24, stream=True, **TO))
    claim(str(events[-1].type.value).startswith(("response.completed", "response.incomplete")), events[-1])


@feature("errors")
def errors():
    refused(litellm.AuthenticationError, 401, lambda: litellm.completion(**{**ASK, "api_key": STRANGER}), code="")
    refused(litellm.NotFoundError, 404, lambda: litellm.completion(**{**ASK, "model": "openai/nobody-knows"}), code="")


@feature("leaving a stream")
def left():
    for chunk in litellm.completion(**{**ASK, "max_tokens": 200}, stream=True):
        if chunk.choices[0].delta.content:
            break
    claim(litellm.completion(**ASK).choices[0].message.content)


@feature("several tool calls", NO)
def parallel():
    calls = [{"id": f"call_{city}", "type": "function",
              "function": {"name": "get_weather", "arguments": f'{{"city":"{city}"}}'}} for city in ("Paris", "Rome")]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in calls]
    said = [{"role": "assistant", "content": None, "tool_calls": calls}]
    answer = litellm.completion(**{**TOOLS, "messages": TOOLS["messages"] + said + results})
    for call in made(answer.choices[0].message.tool_calls):
        is_weather(call.function.arguments)


@feature("responses, tools", NO)
def responses_tools():
    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
    answer = litellm.responses(model=f"openai/{CHAT_MODEL}", input=WEATHER_QUESTION, max_output_tokens=200, tools=[tool],
                               tool_choice="required", **TO)
    is_weather(made([item for item in answer.output if item.type == "function_call"])[0].arguments)


@feature("responses, JSON schema", NO)
def responses_json_schema():
    shape = {"format": {"type": "json_schema", "name": "mood", "strict": True, "schema": MOOD}}
    answer = litellm.responses(model=f"openai/{CHAT_MODEL}", input=MOOD_QUESTION, max_output_tokens=60, text=shape, **TO)
    is_mood(answer.output[0].content[0].text)


for name in ("models", "token count"):
    not_offered(name, "it has a list and counters of its own")


if __name__ == "__main__":
    report("LiteLLM", "litellm")
