"""curl, with what the documentation of the two APIs shows."""

import json
import subprocess

from features import (API_KEY, BASE_URL, CHAT_MODEL, EMBED_MODEL, MOOD, MOOD_QUESTION, PROMPT, ROOT_URL, TEXTS, WEATHER,
                      WEATHER_QUESTION, alike, claim, feature, is_mood, is_weather, made, report)

CHAT = f"{BASE_URL}/chat/completions"
ASK = {"model": CHAT_MODEL, "messages": PROMPT, "max_tokens": 24, "temperature": 0}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER,
                                         "strict": True}}
TOOLS = {**ASK, "max_tokens": 200, "tools": [TOOL], "tool_choice": "required",
         "messages": [{"role": "user", "content": WEATHER_QUESTION}]}


class Refused(Exception):
    """The server said 400."""


NO = (Refused,)


def curl(url, body=None, key=f"Authorization: Bearer {API_KEY}", fails=None):
    words = ["curl", "-sSN", "-w", "\n%{http_code}", "-H", key, url]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    text, _, status = subprocess.run(words, capture_output=True, text=True, check=True).stdout.rpartition("\n")
    if fails:
        return claim(int(status) == fails and json.loads(text)["error"]["code"].startswith("E"), status, text)
    if status == "400":
        error = Refused()
        error.body = json.loads(text)
        raise error
    claim(status == "200", status, text)
    return text


def events(text):
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"], lines[-1:] == ["[DONE]"]


@feature("chat")
def plain():
    answer = json.loads(curl(CHAT, ASK))
    claim(answer["choices"][0]["message"]["content"] and answer["usage"]["completion_tokens"] > 0, answer)
    key = f"x-api-key: {API_KEY}"
    theirs = json.loads(curl(f"{ROOT_URL}/v1/messages", ASK, key))
    claim(theirs["content"][0]["text"] == answer["choices"][0]["message"]["content"], theirs)


@feature("streaming")
def streamed():
    chunks, done = events(curl(CHAT, {**ASK, "stream": True}))
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    claim(done and text == json.loads(curl(CHAT, ASK))["choices"][0]["message"]["content"], text)


@feature("usage of streams")
def streamed_usage():
    chunks, _ = events(curl(CHAT, {**ASK, "stream": True, "stream_options": {"include_usage": True}}))
    claim(chunks[-1]["choices"] == [] and chunks[-1]["usage"]["completion_tokens"] > 0, chunks[-1])


@feature("leaving a stream")
def left():
    command = ["curl", "-sN", "-H", f"Authorization: Bearer {API_KEY}", "-H", "Content-Type: application/json", CHAT,
               "-d", json.dumps({**ASK, "max_tokens": 200, "stream": True})]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        claim(process.stdout.readline().startswith(b"data: "))
        process.kill()
    plain()


@feature("tools", NO)
def tools():
    choice = json.loads(curl(CHAT, TOOLS))["choices"][0]
    is_weather(made(choice["message"].get("tool_calls"))[0]["function"]["arguments"])


@feature("tools, streamed", NO)
def tools_streamed():
    chunks, _ = events(curl(CHAT, {**TOOLS, "stream": True, "parallel_tool_calls": False}))
    calls = [call for chunk in chunks for choice in chunk["choices"] for call in choice["delta"].get("tool_calls") or ()]
    is_weather("".join(call["function"].get("arguments") or "" for call in made(calls)))


@feature("JSON schema", NO)
def json_schema():
    shape = {"type": "json_schema", "json_schema": {"name": "mood", "strict": True, "schema": MOOD}}
    answer = json.loads(curl(CHAT, {**ASK, "messages": MOOD_QUESTION, "max_tokens": 60, "response_format": shape}))
    is_mood(answer["choices"][0]["message"]["content"])


@feature("completions", NO)
def completions():
    body = {"model": CHAT_MODEL, "prompt": "The capital of France is", "max_tokens": 4}
    claim(json.loads(curl(f"{BASE_URL}/completions", body))["choices"][0]["text"])


@feature("embeddings", NO)
def embeddings():
    answer = json.loads(curl(f"{BASE_URL}/embeddings", {"model": EMBED_MODEL, "input": TEXTS}))
    alike([item["embedding"] for item in answer["data"]])


@feature("models")
def models():
    claim({CHAT_MODEL, EMBED_MODEL} <= {model["id"] for model in json.loads(curl(f"{BASE_URL}/models"))["data"]})


@feature("token count")
def count():
    counted = json.loads(curl(f"{ROOT_URL}/v1/messages/count_tokens", {"model": CHAT_MODEL, "messages": PROMPT}))
    claim(counted["input_tokens"] == json.loads(curl(CHAT, ASK))["usage"]["prompt_tokens"], counted)


@feature("errors")
def errors():
    curl(CHAT, ASK, key="Authorization: Bearer nobody", fails=401)
    curl(CHAT, {**ASK, "model": "nobody-knows"}, fails=404)
    curl(CHAT, {**ASK, "max_tokens": "many"}, fails=400)


@feature("responses")
def responses():
    body = {"model": CHAT_MODEL, "input": PROMPT[0]["content"], "max_output_tokens": 24}
    claim(json.loads(curl(f"{BASE_URL}/responses", body))["output"][0]["content"][0]["text"])


@feature("responses, streamed")
def responses_streamed():
    body = {"model": CHAT_MODEL, "input": PROMPT[0]["content"], "max_output_tokens": 24, "stream": True}
    told, _ = events(curl(f"{BASE_URL}/responses", body))
    claim(told[-1]["type"] in ("response.completed", "response.incomplete"), told[-1])


@feature("several tool calls", NO)
def parallel():
    calls = [{"id": f"call_{city}", "type": "function",
              "function": {"name": "get_weather", "arguments": f'{{"city":"{city}"}}'}} for city in ("Paris", "Rome")]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in calls]
    messages = [*TOOLS["messages"], {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    message = json.loads(curl(CHAT, {**TOOLS, "messages": messages}))["choices"][0]["message"]
    for call in made(message.get("tool_calls")):
        is_weather(call["function"]["arguments"])


@feature("log-probabilities", NO)
def logprobs():
    answer = json.loads(curl(CHAT, {**ASK, "logprobs": True, "top_logprobs": 2}))
    claim(len(answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 2, answer)


@feature("several answers", NO)
def several():
    claim(len(json.loads(curl(CHAT, {**ASK, "n": 2}))["choices"]) == 2)


@feature("seed", NO)
def seed():
    once = [json.loads(curl(CHAT, {**ASK, "seed": 3, "temperature": 1}))["choices"][0]["message"]["content"] for _ in range(2)]
    claim(once[0] == once[1], once)


@feature("responses, tools", NO)
def responses_tools():
    tool = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": True}
    body = {"model": CHAT_MODEL, "input": WEATHER_QUESTION, "max_output_tokens": 200, "tools": [tool], "tool_choice": "required"}
    output = json.loads(curl(f"{BASE_URL}/responses", body))["output"]
    is_weather(made([item for item in output if item["type"] == "function_call"])[0]["arguments"])


@feature("responses, JSON schema", NO)
def responses_json_schema():
    shape = {"format": {"type": "json_schema", "name": "mood", "strict": True, "schema": MOOD}}
    body = {"model": CHAT_MODEL, "input": MOOD_QUESTION, "max_output_tokens": 60, "text": shape}
    is_mood(json.loads(curl(f"{BASE_URL}/responses", body))["output"][0]["content"][0]["text"])


if __name__ == "__main__":
    report("curl", None)
