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
# vLLM holds arguments to their schema only for a tool that is `strict`.
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER,
                                         "strict": True}}
SHAPE = {"type": "object", "properties": {"warm": {"type": "boolean"}}, "required": ["warm"], "additionalProperties": False}
WAIT_SECONDS = 120

CHECKS = []


class Refused(Exception):
    """The engine said, with a status of 400, that it does not do that."""


class NotDone(Exception):
    """The engine was asked for it, said that it had answered, and did something else."""


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


def asked(base_url, path, body=None):
    return text_from(*send(base_url, path, body))


def text_from(connection, response):
    text = response.read().decode()
    connection.close()
    if response.status in (400, 501):
        raise Refused(text)
    holds(response.status == 200, response.status, text)
    return text


class Asker:
    """Asks the gateway, or past it the engine. `request` is the id of the last request to the gateway."""

    def __init__(self, front, key):
        self.front, self.key, self.request = front, key, None

    def asked(self, path, body):
        connection, response = send(self.front.base_url, path, body, self.key)
        self.request = response.headers["x-request-id"]
        return text_from(connection, response)

    def post(self, path, body):
        return json.loads(self.asked(path, body))

    def chat(self, **more):
        return self.post("chat/completions", {**ASK, **more})

    def chunks(self, path="chat/completions", **body):
        return chunks(self.asked(path, {**body, "stream": True}))

    def engine(self, **more):
        return json.loads(asked(self.front.server.chat_url, "chat/completions", {**ASK, "model": self.front.server.chat_name, **more}))

    def record(self, kind):
        """The record of the last request, once it can be read: what shows the log reads what is published of it."""
        until = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < until:
            for event in self.front.events(kind):
                if event["request"] == self.request:
                    return event
        raise Failed(f"no record `{kind}` of {self.request}")


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
    told = asker.chunks(**ASK)
    holds(all(not chunk.get("usage") and chunk["choices"] for chunk in told), told[-1])
    usage = asker.record("request.settled")["usage"]
    holds(usage["output_tokens"] == asker.engine()["usage"]["completion_tokens"], usage)


@check("prompts are counted by the engine before it is asked")
def counted(asker):
    # An engine that is busy is not waited for; then the bytes are counted, and the next request asks again.
    until = time.monotonic() + WAIT_SECONDS
    told = {"by": "bytes"}
    while told["by"] == "bytes" and time.monotonic() < until:
        answer = asker.chat()
        told = asker.record("request.admitted")["prompt_tokens"]
    holds(told["by"] == "engine" and told["count"] == answer["usage"]["prompt_tokens"], told, answer["usage"])


@check("a caller that leaves is charged what was computed")
def left(asker):
    body = {**ASK, "messages": [{"role": "user", "content": "Write a very long story."}], "max_tokens": 1500, "stream": True}
    connection, response = send(asker.front.base_url, "chat/completions", body, asker.key)
    asker.request = response.headers["x-request-id"]
    for _ in range(8):
        response.readline()
    connection.close()
    response.close()
    settled = asker.record("request.settled")
    charged = settled["charges"][0]
    holds(settled["outcome"] == "client-left" and 0 < charged["amount"] < 1500, settled)


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
    # Anthropic counts apart what was read from a cache.
    read = answer["usage"]["input_tokens"] + (answer["usage"].get("cache_read_input_tokens") or 0)
    holds(counted["input_tokens"] == read, counted, answer["usage"])


@check("responses")
def responses(asker):
    answer = asker.post("responses", {"model": CHAT, "input": QUESTION, "max_output_tokens": 24, "temperature": 0})
    holds(answer["output"][-1]["content"][0]["text"] == asker.chat()["choices"][0]["message"]["content"], answer)


# -- what engines differ in -------------------------------------------------------------------------------------------

TOOLS = {"messages": [{"role": "user", "content": "What is the weather in Paris?"}], "tools": [TOOL], "max_tokens": 100}


def called(asker, choice):
    """A call in the gateway's answer. Where there is none, the engine past the gateway must not make one either."""
    told = asker.chat(**TOOLS, tool_choice=choice)["choices"][0]
    own = asker.engine(**TOOLS, tool_choice=choice)["choices"][0]
    holds(told["message"].get("tool_calls") is None or told["finish_reason"] == own["finish_reason"], told, own)
    if not told["message"].get("tool_calls"):
        holds(not own["message"].get("tool_calls") and told["message"]["content"] == own["message"]["content"], told, own)
        raise NotDone("it writes text instead, also when it is asked past the gateway")
    call = told["message"]["tool_calls"][0]["function"]
    holds(call["name"] == "get_weather" and json.loads(call["arguments"])["city"] in ("Paris", "Rome"), call)


@check("a tool is called when one must be")
def tools(asker):
    return called(asker, "required")


@check("a tool is called by name")
def named_tool(asker):
    return called(asker, {"type": "function", "function": {"name": "get_weather"}})


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


BEGUN = "Three colours are red,"


@check("the beginning of an answer is continued")
def prefix(asker):
    begun = {**ASK, "messages": [*QUESTION, {"role": "assistant", "content": BEGUN}]}
    plain = asker.post("messages", begun)["content"][0]["text"]
    told = asker.chunks("messages", **begun)
    streamed = "".join(event["delta"].get("text", "") for event in told if event["type"] == "content_block_delta")
    holds(streamed and not streamed.startswith(BEGUN), streamed)
    if plain == BEGUN + streamed:
        return "a plain answer of this engine repeats the beginning, a streamed one does not"
    holds(plain == streamed, plain, streamed)


@check("a stream that breaks off goes on")
def resumed(asker):
    """`breaks` is cut off in its middle by a relay, and continued by the engine itself."""
    whole = asker.chat()["choices"][0]["message"]["content"]
    told = asker.chunks(**{**ASK, "model": "breaks"})
    attempts = asker.record("request.settled")["attempts"]
    holds([attempt["outcome"] for attempt in attempts] == ["broken-off", "answered"] and attempts[1]["resumed"], attempts)
    # A tokenizer may cut the text otherwise where it is taken up; what was sent before is what the engine said.
    text = text_of(told)
    holds(text[:10] == whole[:10] and len(text) > 10, text, whole)
    if text != whole:
        return "goes on in other words than in one piece"


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
