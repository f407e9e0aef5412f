"""LangChain's own clients, of OpenAI's API and of Anthropic's."""

import anthropic
import openai
from features import (API_KEY, BASE_URL, CHAT_MODEL, EMBED_MODEL, FEATURES, PROMPT, ROOT_URL, STRANGER, TEXTS, WEATHER, WEATHER_QUESTION,
                      alike, claim, feature, is_weather, made, not_offered, refused, report)
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from shapes import Mood

TEXT = PROMPT[0]["content"]
NO = (openai.BadRequestError, anthropic.BadRequestError)
TOOL = {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER}
SAID = [{"name": "get_weather", "args": {"city": city}, "id": f"call_{city}"} for city in ("Paris", "Rome")]


def of_openai(**more):
    return ChatOpenAI(**{"model": CHAT_MODEL, "base_url": BASE_URL, "api_key": API_KEY, "temperature": 0, "max_retries": 0,
                         "max_tokens": 24, "stream_usage": True, **more})


def of_anthropic(**more):
    return ChatAnthropic(**{"model": CHAT_MODEL, "base_url": ROOT_URL, "api_key": API_KEY, "max_retries": 0,
                            "max_tokens": 24, **more})


def is_call(message):
    claim(made(message.tool_calls)[0]["name"] == "get_weather", message)
    for call in message.tool_calls:
        is_weather(call["args"])


def checks(model, forced):
    @feature("chat")
    def plain():
        answer = model().invoke(TEXT)
        claim(answer.text and answer.usage_metadata["output_tokens"] > 0, answer)

    @feature("streaming")
    def streamed():
        chunks = list(model().stream(TEXT))
        claim(len(chunks) > 2 and "".join(chunk.text for chunk in chunks), chunks)

    @feature("usage of streams")
    def streamed_usage():
        whole = sum(list(model().stream(TEXT))[1:], next(iter(model().stream(TEXT))))
        claim(whole.usage_metadata["input_tokens"] > 0 and whole.usage_metadata["output_tokens"] > 0, whole)

    @feature("leaving a stream")
    def left():
        stream = model(max_tokens=200).stream(TEXT)
        next(stream)
        stream.close()
        claim(model().invoke(TEXT).text)

    @feature("tools", NO)
    def tools():
        # One call: a small model that may call again does so until its tokens run out, in the middle of a call.
        once = model(max_tokens=200).bind_tools([TOOL], tool_choice=forced, parallel_tool_calls=False)
        is_call(once.invoke(WEATHER_QUESTION))

    @feature("tools, streamed", NO)
    def tools_streamed():
        chunks = list(model(max_tokens=200).bind_tools([TOOL], tool_choice=forced).stream(WEATHER_QUESTION))
        is_call(sum(chunks[1:], chunks[0]))

    @feature("several tool calls", NO)
    def parallel():
        results = [ToolMessage("sunny", tool_call_id=call["id"]) for call in SAID]
        said = [HumanMessage(WEATHER_QUESTION), AIMessage("", tool_calls=SAID), *results]
        is_call(model(max_tokens=200).bind_tools([TOOL], tool_choice=forced).invoke(said))

    @feature("JSON schema", NO)
    def json_schema():
        asked = model(max_tokens=60).with_structured_output(Mood, method="json_schema")
        claim(isinstance(asked.invoke("I won the lottery. How do I feel? Answer in JSON."), Mood))


def checks_of_openai():
    checks(of_openai, "required")

    @feature("log-probabilities", NO)
    def logprobs():
        content = of_openai(logprobs=True, top_logprobs=2).invoke(TEXT).response_metadata["logprobs"]["content"]
        claim(content and len(content[0]["top_logprobs"]) == 2, content)

    @feature("several answers", NO)
    def several():
        answers = of_openai(n=2).generate([[HumanMessage(TEXT)]]).generations[0]
        claim(len(answers) == 2 and all(answer.text for answer in answers), answers)

    @feature("seed", NO)
    def seed():
        once = [of_openai(seed=3).invoke(TEXT).text for _ in range(2)]
        claim(once[0] == once[1], once)

    @feature("embeddings", NO)
    def embeddings():
        # Otherwise it fetches a vocabulary from the internet to cut long texts.
        model = OpenAIEmbeddings(model=EMBED_MODEL, base_url=BASE_URL, api_key=API_KEY, check_embedding_ctx_length=False)
        alike(model.embed_documents(TEXTS))

    @feature("responses", NO)
    def responses():
        answer = of_openai(use_responses_api=True).invoke(TEXT)
        claim(answer.text and answer.usage_metadata["output_tokens"] > 0, answer)

    @feature("responses, streamed", NO)
    def responses_streamed():
        claim("".join(chunk.text for chunk in of_openai(use_responses_api=True).stream(TEXT)))

    @feature("responses, tools", NO)
    def responses_tools():
        model = of_openai(use_responses_api=True, max_tokens=200)
        is_call(model.bind_tools([TOOL], tool_choice="required").invoke(WEATHER_QUESTION))

    @feature("responses, JSON schema", NO)
    def responses_json_schema():
        model = of_openai(use_responses_api=True, max_tokens=60).with_structured_output(Mood, method="json_schema")
        claim(isinstance(model.invoke("I won the lottery. How do I feel? Answer in JSON."), Mood))

    @feature("errors")
    def errors():
        refused(openai.AuthenticationError, 401, lambda: of_openai(api_key=STRANGER).invoke(TEXT))
        refused(openai.NotFoundError, 404, lambda: of_openai(model="nobody-knows").invoke(TEXT))

    for name in ("completions", "models", "token count"):
        not_offered(name, "not part of its chat models")


def checks_of_anthropic():
    checks(of_anthropic, "any")

    @feature("token count")
    def count():
        claim(of_anthropic().get_num_tokens_from_messages([HumanMessage(TEXT)]) > 5)

    @feature("errors")
    def errors():
        refused(anthropic.AuthenticationError, 401, lambda: of_anthropic(api_key=STRANGER).invoke(TEXT))
        refused(anthropic.NotFoundError, 404, lambda: of_anthropic(model="nobody-knows").invoke(TEXT))

    for name in ("log-probabilities", "several answers", "seed", "completions", "embeddings", "models"):
        not_offered(name, "not in Anthropic's Messages")
    for name in ("responses", "responses, streamed", "responses, tools", "responses, JSON schema"):
        not_offered(name, "OpenAI's own")


if __name__ == "__main__":
    # One after the other in one process: importing them is what takes the time.
    checks_of_openai()
    report("LangChain, OpenAI", "langchain-openai")
    FEATURES.clear()
    checks_of_anthropic()
    report("LangChain, Anthropic", "langchain-anthropic")
