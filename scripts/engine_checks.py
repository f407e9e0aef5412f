"""What is asked of an engine behind the gateway, and what must hold; held against the engine's own words where it has any.

Each check is a real request through the gateway. `Refused` is an answer of status 400: the engine does not do that, and
says so.
"""

import http.client
import json
import pathlib
import re
import time
import urllib.parse

from demo_site import CHAT, EMBED, ROOT, Failed

QUESTION = [{"role": "user", "content": "Name three colours."}]
ASK = {"model": CHAT, "messages": QUESTION, "max_tokens": 24, "temperature": 0}
WEATHER = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}}, "required": ["city"],
           "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER}}
SHAPE = {"type": "object", "properties": {"warm": {"type": "boolean"}}, "required": ["warm"], "additionalProperties": False}
WAIT_SECONDS = 60

CHECKS = []


class Refused(Exception):
    """The engine said, with a status of 400, that it does not do that."""


def check(name):
    def register(call):
        CHECKS.append((name, call))
        return call
    return register


def holds(claim, *found):
    if not claim:
        raise Failed(" ".join(repr(item)[:300] for item in found))


# -- asking -----------------------------------------------------------------------------------------------------------

def send(base_url, path, body=None, key=None):
    at = urllib.parse.urlsplit(base_url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=300)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    connection.request("GET" if body is None else "POST", f"{at.path}/{path}", None if body is None else json.dumps(body), headers)
    return connection, connection.getresponse()


def asked(base_url, path, body=None, key=None):
    connection, response = send(base_url, path, body, key)
    text = response.read().decode()
    connection.close()
    if response.status in (400, 501):
        raise Refused(text)
    holds(response.status == 200, response.status, text)
    return text


class Asker:
    """Asks the gateway, or past it the engine."""

    def __init__(self, front, key):
        self.front, self.key = front, key

    def post(self, path, body):
        return json.loads(asked(self.front.base_url, path, body, self.key))

    def chat(self, **more):
        return self.post("chat/completions", {**ASK, **more})

    def chunks(self, path="chat/completions", **body):
        return chunks(asked(self.front.base_url, path, {**body, "stream": True}, self.key))

    def engine(self, **more):
        return json.loads(asked(self.front.server.chat_url, "chat/completions", {**ASK, "model": self.front.server.chat_name, **more}))

    def settled(self, outcome, since):
        """The record of the one request since, once it is there."""
        until = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until:
            found = self.front.events("request.settled")[since:]
            if found:
                holds(found[0]["outcome"] == outcome, found[0])
                return found[0]
        raise Failed("no settling record")


def chunks(text):
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ") and line != "data: [DONE]"]
    return [json.loads(line) for line in lines]


def text_of(stream):
    return "".join(choice["delta"].get("content") or "" for chunk in stream for choice in chunk["choices"])


# -- answers and their tokens -----------------------------------------------------------------------------------------

@check("chat, with the engine's own counts")
def chat(asker):
    answer, own = asker.chat(), asker.engine()
    holds(answer["choices"][0]["message"]["content"], answer)
    same = ("prompt_tokens", "completion_tokens", "total_tokens")
    holds(all(answer["usage"][key] == own["usage"][key] for key in same), answer["usage"], own["usage"])


@check("streaming, with the counts of a plain answer")
def streaming(asker):
    told = asker.chunks(**ASK, stream_options={"include_usage": True})
    plain = asker.chat()
    holds(text_of(told) == plain["choices"][0]["message"]["content"], text_of(told), plain)
    holds(told[-1]["usage"]["completion_tokens"] == plain["usage"]["completion_tokens"], told[-1], plain["usage"])


@check("a stream that asked for no report gets none, and is counted")
def unasked(asker):
    before = len(asker.front.events("request.settled"))
    told = asker.chunks(**ASK)
    holds(all(not chunk.get("usage") and chunk["choices"] for chunk in told), told[-1])
    usage = asker.settled("completed", before)["usage"]
    holds(usage["output_tokens"] == asker.engine()["usage"]["completion_tokens"], usage)


@check("prompts are counted by the engine before it is asked")
def counted(asker):
    answer = asker.chat()
    told = asker.front.events("request.admitted")[-1]["prompt_tokens"]
    holds(told["by"] == "engine" and told["count"] == answer["usage"]["prompt_tokens"], told, answer["usage"])


@check("a caller that leaves is settled with what was computed")
def left(asker):
    before = len(asker.front.events("request.settled"))
    connection, response = send(asker.front.base_url, "chat/completions", {**ASK, "max_tokens": 1500, "stream": True}, asker.key)
    for _ in range(12):
        response.readline()
    connection.close()
    response.close()
    usage = asker.settled("client-left", before)["usage"]
    holds(0 < usage["output_tokens"] < 1500 and usage["input_tokens"] > 0, usage)


@check("completions")
def completions(asker):
    body = {"model": CHAT, "prompt": "The capital of France is", "max_tokens": 6, "temperature": 0}
    answer = asker.post("completions", body)
    told = asker.chunks("completions", **body)
    holds(answer["choices"][0]["text"] == "".join(choice["text"] for chunk in told for choice in chunk["choices"]), answer)


@check("embeddings")
def embeddings(asker):
    answer = asker.post("embeddings", {"model": EMBED, "input": ["a red car", "tax law"]})
    holds([item["index"] for item in answer["data"]] == [0, 1] and len(answer["data"][0]["embedding"]) == 384, answer)


@check("messages")
def messages(asker):
    answer = asker.post("messages", ASK)
    holds(answer["content"][0]["text"] == asker.chat()["choices"][0]["message"]["content"], answer)
    counted = asker.post("messages/count_tokens", {"model": CHAT, "messages": QUESTION})
    holds(counted["input_tokens"] == answer["usage"]["input_tokens"], counted, answer["usage"])


@check("responses")
def responses(asker):
    answer = asker.post("responses", {"model": CHAT, "input": QUESTION, "max_output_tokens": 24, "temperature": 0})
    holds(answer["output"][-1]["content"][0]["text"] == asker.chat()["choices"][0]["message"]["content"], answer)


# -- what engines differ in -------------------------------------------------------------------------------------------

@check("a tool is called when one must be")
def tools(asker):
    ask = {"messages": [{"role": "user", "content": "What is the weather in Paris?"}], "tools": [TOOL], "max_tokens": 200}
    choice = asker.chat(**ask, tool_choice="required")["choices"][0]
    holds(choice["finish_reason"] in ("tool_calls", "stop"), choice)
    call = choice["message"]["tool_calls"][0]["function"]
    holds(call["name"] == "get_weather" and json.loads(call["arguments"])["city"] in ("Paris", "Rome"), call)


@check("a tool is called by name")
def named_tool(asker):
    ask = {"messages": [{"role": "user", "content": "What is the weather in Paris?"}], "tools": [TOOL], "max_tokens": 200}
    choice = asker.chat(**ask, tool_choice={"type": "function", "function": {"name": "get_weather"}})["choices"][0]
    holds(json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"])["city"] in ("Paris", "Rome"), choice)


@check("JSON schema")
def json_schema(asker):
    shape = {"type": "json_schema", "json_schema": {"name": "shape", "strict": True, "schema": SHAPE}}
    answer = asker.chat(response_format=shape, max_tokens=60)
    holds(json.loads(answer["choices"][0]["message"]["content"])["warm"] in (True, False), answer)


@check("log-probabilities")
def logprobs(asker):
    content = asker.chat(logprobs=True, top_logprobs=2)["choices"][0]["logprobs"]["content"]
    holds(content and all(len(token["top_logprobs"]) == 2 for token in content), content)


@check("several answers")
def several(asker):
    holds(len(asker.chat(n=2, temperature=1)["choices"]) == 2)


@check("a seed repeats an answer")
def seed(asker):
    once = [asker.chat(seed=5, temperature=1)["choices"][0]["message"]["content"] for _ in range(2)]
    holds(once[0] == once[1], once)


@check("the beginning of an answer is continued")
def prefix(asker):
    begun = [*QUESTION, {"role": "assistant", "content": "Three colours are red,"}]
    answer = asker.post("messages", {**ASK, "messages": begun})
    text = answer["content"][0]["text"]
    holds(text and not text.startswith("Three colours are red,"), text)
    own = asker.engine(messages=begun, continue_final_message=True, add_generation_prompt=False)
    holds(own["choices"][0]["message"]["content"].endswith(text), own, text)


@check("a stream that breaks off goes on")
def resumed(asker):
    """`breaks` is cut off in its middle by a relay, and continued by the engine itself."""
    whole = asker.chat()["choices"][0]["message"]["content"]
    told = asker.chunks(**{**ASK, "model": "breaks"})
    attempts = asker.front.events("request.settled")[-1]["attempts"]
    holds([attempt["outcome"] for attempt in attempts] == ["broken-off", "answered"] and attempts[1]["resumed"], attempts)
    holds(text_of(told) == whole, text_of(told), whole)


# -- routing ----------------------------------------------------------------------------------------------------------

@check("the engine's health is seen")
def health(asker):
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        text = asked(asker.front.base_url.removesuffix("/v1"), "metrics")
        states = re.findall(r"hermetic_target_available\{([^}]*)\} (\d+)", text)
        if states and all(state == "1" for _, state in states):
            return
    raise Failed(f"targets are not available: {states}")


@check("its load metrics have the names that routing reads")
def load(asker):
    source = pathlib.Path(ROOT / "crates" / "routing" / "src" / "engine_load.rs").read_text()
    text = asked(asker.front.server.chat_url.removesuffix("/v1"), "metrics")
    there = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    known = re.findall(r'\("([^"]+)", Field::(\w+)\)', source)
    fields = {field for name, field in known if name in there}
    holds({"Waiting", "Running"} <= fields, sorted(there))
    if "CacheUsed" not in fields:
        return "no share of its cache is told"
