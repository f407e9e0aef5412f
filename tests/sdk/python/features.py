"""The frame of every client's checks: one feature, one real call, and what must hold of the object the client made of it.

A script registers features and calls `report`, which prints one line of JSON a feature: `works`, `refused` (the engine said,
through the client's own error class, that it does not do that; the note is its code), `not done` (the engine was told to call a
tool and wrote text), `not offered` (by the client) or `fails`. Which of them a cell must be stands in reports/sdks.json; a script judges nothing.

Takes BASE_URL, API_KEY, CHAT_MODEL and EMBED_MODEL from the environment.
"""

import importlib.metadata
import json
import os
import sys
import traceback

BASE_URL = os.environ["BASE_URL"]
# Anthropic's base URL has no version in it.
ROOT_URL = BASE_URL.removesuffix("/v1")
API_KEY = os.environ["API_KEY"]
CHAT_MODEL = os.environ["CHAT_MODEL"]
EMBED_MODEL = os.environ["EMBED_MODEL"]
STRANGER = "hk_0000000000000000_" + "A" * 43

PROMPT = [{"role": "user", "content": "Say hello in one short sentence."}]
WEATHER_QUESTION = "What is the weather in Paris and in Rome?"
# Arguments are enumerated: a very small model fills a free text without an end.
WEATHER = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
           "required": ["city"], "additionalProperties": False}
MOOD = {"type": "object", "properties": {"mood": {"type": "string", "enum": ["glad", "sad"]}, "sure": {"type": "boolean"}},
        "required": ["mood", "sure"], "additionalProperties": False}
MOOD_QUESTION = [{"role": "user", "content": "I won the lottery. How do I feel? Answer in JSON."}]

FEATURES = []


class Unmet(Exception):
    """A claim that does not hold, with what was found."""


class NotDone(Exception):
    """The engine was told to call a tool and wrote text."""


def feature(name, refusals=()):
    """Registers a check. `refusals` are the client's error classes for a request that was understood and refused."""
    def register(call):
        FEATURES.append((name, call, tuple(refusals)))
        return call
    return register


def not_offered(name, reason):
    FEATURES.append((name, None, reason))


def claim(holds, *found):
    if not holds:
        raise Unmet(" ".join(repr(item)[:400] for item in found))


def made(calls):
    """The calls of an answer that had to make one."""
    if not calls:
        raise NotDone
    return calls


def is_weather(arguments):
    arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    claim(set(arguments) == {"city"} and arguments["city"] in ("Paris", "Rome"), arguments)
    return arguments["city"]


def is_mood(answer):
    answer = json.loads(answer) if isinstance(answer, str) else answer
    claim(set(answer) == {"mood", "sure"} and answer["mood"] in ("glad", "sad") and answer["sure"] in (True, False), answer)


def refused(kind, status, call, code="E"):
    """`call` must raise the client's own error class `kind` with `status` and our code."""
    try:
        call()
    except kind as error:
        return claim(error.status_code == status and code_of(error).startswith(code), error.status_code, code_of(error), error)
    raise Unmet(f"expected {kind.__name__}, found an answer")


def code_of(error):
    """The code in an error's body, wherever the client keeps it."""
    body = getattr(error, "body", None) or {}
    body = body.get("error", body) if isinstance(body, dict) else {}
    return str(getattr(error, "code", None) or body.get("code") or "")


def alike(vectors):
    """The first two of three vectors are of like texts, the third of another."""
    def cosine(a, b):
        return sum(x * y for x, y in zip(a, b)) / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
    car, automobile, law = vectors
    claim(len(car) > 100 and cosine(car, automobile) > cosine(car, law), len(car))


TEXTS = ["a red car", "a crimson automobile", "tax law"]


def checked(call, refusals):
    if call is None:
        return "not offered", refusals
    try:
        call()
    except NotDone:
        return "not done", "text instead of a call"
    except refusals as error:
        return "refused", code_of(error) or type(error).__name__
    except Exception as error:  # whatever a client raises is a finding, and the other features are still to be seen
        traceback.print_exc()
        return "fails", f"{type(error).__name__}: {error}"[:400]
    return "works", ""


def report(client, package):
    wanted = sys.argv[1:]
    version = importlib.metadata.version(package) if package else ""
    for name, call, refusals in FEATURES:
        if wanted and name not in wanted:
            continue
        result, note = checked(call, refusals)
        row = {"client": client, "version": version, "feature": name, "result": result, "note": note}
        print(json.dumps(row), flush=True)
