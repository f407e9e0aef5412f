"""LlamaIndex, with the class it has for servers that speak OpenAI's API."""

import openai
from features import (API_KEY, BASE_URL, CHAT_MODEL, EMBED_MODEL, PROMPT, STRANGER, TEXTS, WEATHER_QUESTION, alike, claim, feature,
                      is_weather, made, not_offered, refused, report)
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from shapes import City, Mood

NO = (openai.BadRequestError,)
ASK = [ChatMessage(role="user", content=PROMPT[0]["content"])]
TOOL = FunctionTool.from_defaults(fn=lambda city: "sunny", name="get_weather", description="The weather in a city.", fn_schema=City)


def model(**more):
    return OpenAILike(**{"model": CHAT_MODEL, "api_base": BASE_URL, "api_key": API_KEY, "temperature": 0, "max_tokens": 24,
                         "max_retries": 0, "is_chat_model": True, "is_function_calling_model": True,
                         "context_window": 2048, **more})


@feature("chat")
def plain():
    answer = model().chat(ASK)
    claim(answer.message.content and answer.raw.usage.completion_tokens > 0, answer)


@feature("streaming")
def streamed():
    answers = list(model().stream_chat(ASK))
    claim(len(answers) > 2 and answers[-1].message.content == model().chat(ASK).message.content, answers[-1])


@feature("usage of streams")
def streamed_usage():
    told = [answer.raw.usage for answer in model(additional_kwargs={"stream_options": {"include_usage": True}}).stream_chat(ASK)
            if answer.raw.usage]
    claim(told and told[-1].completion_tokens > 0, told)


@feature("leaving a stream")
def left():
    stream = model(max_tokens=200).stream_chat(ASK)
    next(stream)
    stream.close()
    claim(model().chat(ASK).message.content)


def is_call(llm, answer):
    calls = made(llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False))
    claim(calls[0].tool_name == "get_weather", calls)
    for call in calls:
        is_weather(call.tool_kwargs)


@feature("tools", NO)
def tools():
    llm = model(max_tokens=200)
    is_call(llm, llm.chat_with_tools([TOOL], user_msg=WEATHER_QUESTION, tool_required=True))


@feature("tools, streamed", NO)
def tools_streamed():
    llm = model(max_tokens=200)
    is_call(llm, list(llm.stream_chat_with_tools([TOOL], user_msg=WEATHER_QUESTION, tool_required=True))[-1])


@feature("several tool calls", NO)
def parallel():
    calls = [{"id": f"call_{city}", "type": "function",
              "function": {"name": "get_weather", "arguments": f'{{"city":"{city}"}}'}} for city in ("Paris", "Rome")]
    said = [ChatMessage(role="user", content=WEATHER_QUESTION),
            ChatMessage(role="assistant", content=None, additional_kwargs={"tool_calls": calls}),
            *(ChatMessage(role="tool", content="sunny", additional_kwargs={"tool_call_id": call["id"]}) for call in calls)]
    llm = model(max_tokens=200)
    is_call(llm, llm.chat_with_tools([TOOL], chat_history=said, tool_required=True))


@feature("JSON schema", NO)
def json_schema():
    llm = model(max_tokens=60, should_use_structured_outputs=True)
    claim(isinstance(llm.structured_predict(Mood, PromptTemplate("I won the lottery. How do I feel? Answer in JSON.")), Mood))


@feature("log-probabilities", NO)
def logprobs():
    answer = model(logprobs=True, top_logprobs=2).chat(ASK)
    claim(answer.logprobs and answer.logprobs[0], answer)


@feature("seed", NO)
def seed():
    once = [model(additional_kwargs={"seed": 3}, temperature=1).chat(ASK).message.content for _ in range(2)]
    claim(once[0] == once[1], once)


@feature("completions", NO)
def completions():
    claim(model(is_chat_model=False, max_tokens=4).complete("The capital of France is").text)


@feature("embeddings", NO)
def embeddings():
    embedder = OpenAILikeEmbedding(model_name=EMBED_MODEL, api_base=BASE_URL, api_key=API_KEY)
    alike(embedder.get_text_embedding_batch(TEXTS))


@feature("errors")
def errors():
    refused(openai.AuthenticationError, 401, lambda: model(api_key=STRANGER).chat(ASK))
    refused(openai.NotFoundError, 404, lambda: model(model="nobody-knows").chat(ASK))


not_offered("several answers", "it takes the first")
for name in ("models", "token count", "responses", "responses, streamed", "responses, tools", "responses, JSON schema"):
    not_offered(name, "not part of OpenAILike")


if __name__ == "__main__":
    report("LlamaIndex", "llama-index-llms-openai-like")
