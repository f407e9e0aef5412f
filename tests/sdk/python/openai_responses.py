"""The Responses of the stock OpenAI Python SDK."""

import openai
from features import API_KEY, BASE_URL, CHAT_MODEL, MOOD_QUESTION, WEATHER, WEATHER_QUESTION, claim, feature, is_weather, made, report
from shapes import Mood

client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, timeout=300, max_retries=0)
NO = (openai.BadRequestError,)
ASK = {"model": CHAT_MODEL, "instructions": "You are brief.", "input": "Say hello in one short sentence.",
       "max_output_tokens": 24, "temperature": 0}
TOOLS = {"model": CHAT_MODEL, "input": WEATHER_QUESTION, "max_output_tokens": 200, "temperature": 0, "tool_choice": "required",
         "tools": [{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}]}


@feature("responses")
def plain():
    answer = client.responses.create(**ASK, store=False)
    claim(answer.output_text and answer.status in ("completed", "incomplete") and answer.store is False, answer)
    claim(answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0, answer.usage)
    messages = [{"role": "system", "content": ASK["instructions"]}, {"role": "user", "content": ASK["input"]}]
    same = client.chat.completions.create(model=CHAT_MODEL, max_tokens=24, temperature=0, messages=messages)
    claim(same.choices[0].message.content == answer.output_text, same, answer.output_text)
    try:
        client.responses.create(**ASK, previous_response_id="resp_1")
        claim(False, "a response that never was can be named")
    except openai.BadRequestError as error:
        # Where responses are kept this one is not among them; where none are, none can be named.
        claim(error.code in ("previous_response_not_found", "E0824"), error.body)
        claim(error.param == "previous_response_id", error.body)


@feature("responses, streamed")
def streamed():
    answer = client.responses.create(**ASK)
    with client.responses.stream(**ASK) as stream:
        events = list(stream)
        final = stream.get_final_response()
    claim([event.type for event in events[:2]] == ["response.created", "response.in_progress"], events[:2])
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    claim(text == answer.output_text == final.output_text, text, answer.output_text)
    claim(final.usage.output_tokens == answer.usage.output_tokens, final.usage)


@feature("responses, tools", NO)
def tools():
    answer = client.responses.create(**TOOLS)
    calls = [item for item in answer.output if item.type == "function_call"]
    claim(made(calls)[0].name == "get_weather", answer)
    is_weather(calls[0].arguments)
    results = [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
    said = [{"role": "user", "content": WEATHER_QUESTION}, *(call.model_dump(exclude_none=True) for call in calls)]
    more = client.responses.create(**{**TOOLS, "input": said + results, "tool_choice": "none"})
    claim(more.output_text, more)
    done = [event for event in client.responses.create(**TOOLS, stream=True)
            if event.type == "response.function_call_arguments.done"]
    is_weather(made(done)[0].arguments)


@feature("responses, JSON schema", NO)
def json_schema():
    answer = client.responses.parse(model=CHAT_MODEL, input=MOOD_QUESTION, text_format=Mood, max_output_tokens=60, temperature=0)
    claim(isinstance(answer.output_parsed, Mood), answer)


if __name__ == "__main__":
    report("OpenAI Python", "openai")
