"""OpenAI's description of its API, pinned, and what it says of one exchange.

What an exchange has that the description does not allow is a `Difference`, equal for every exchange with the same mistake:
places of lists are written `*`, values are left out.
"""

import functools
import hashlib
import json
import lzma
import pathlib
import re
from typing import NamedTuple

FILE = pathlib.Path(__file__).resolve().parent.parent / "tests" / "openai" / "openapi.json.xz"
# Of the description itself, not of the compressed file: another compressor is no difference.
SHA256 = "bbfd19abcde0e7412da99378deb2a959ccdd3a812f97c9e35901921e8e973f9a"
METHODS = ("get", "post", "put", "patch", "delete")
BASE = "urn:openai"
NOT_JSON = object()


class Difference(NamedTuple):
    operation: str
    part: str  # request, asked (of an engine), answer, event or error
    place: str
    what: str


class Operation(NamedTuple):
    name: str
    method: str
    path: str
    request: str | None  # JSON pointers of schemas
    answer: str | None
    event: str | None


@functools.cache
def description():
    text = lzma.decompress(FILE.read_bytes())
    found = hashlib.sha256(text).hexdigest()
    if found != SHA256:
        raise SystemExit(f"expected the description with sha256 {SHA256}, found {found}")
    return readable(json.loads(text))


def readable(node):
    """The description as JSON Schema reads it. It is of OpenAPI 3.1 and in places still says `nullable`, which 3.0 had; and
    alternatives under `oneOf` overlap, so that plain messages are two of them at once."""
    if isinstance(node, list):
        return [readable(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {"anyOf" if key == "oneOf" and isinstance(value, list) and "anyOf" not in node else key: readable(value)
            for key, value in node.items()}
    if node.get("nullable") is True:
        del node["nullable"]
        return {"anyOf": [node, {"type": "null"}]}
    return node


def escaped(key):
    return key.replace("~", "~0").replace("/", "~1")


@functools.cache
def operations():
    """Every operation of the description."""
    found = []
    for path, item in description()["paths"].items():
        for method in METHODS:
            if method not in item:
                continue
            at = f"#/paths/{escaped(path)}/{method}"

            def pointer(holder, place, media):
                content = holder.get("content", {}).get(media, {})
                return f"{at}/{place}/content/{escaped(media)}/schema" if "schema" in content else None
            answer = item[method]["responses"].get("200", {})
            found.append(Operation(
                item[method]["operationId"], method.upper(), path,
                pointer(item[method].get("requestBody", {}), "requestBody", "application/json"),
                pointer(answer, "responses/200", "application/json"),
                pointer(answer, "responses/200", "text/event-stream")))
    return found


def operation_of(method, path):
    """The operation that a request is, or None. Literal segments go before parameters."""
    path = path.split("?")[0].split("/v1", 1)[-1]
    fitting = [operation for operation in operations() if operation.method == method
               and re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", operation.path), path)]
    return min(fitting, key=lambda operation: operation.path.count("{"), default=None)


# -- schemas ----------------------------------------------------------------------------------------------------------

@functools.cache
def registry():
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012
    return Registry().with_resource(BASE, Resource(contents=description(), specification=DRAFT202012))


@functools.cache
def validator(pointer):
    from jsonschema import Draft202012Validator
    return Draft202012Validator({"$ref": BASE + pointer}, registry=registry())


def resolve(pointer):
    node = description()
    for key in pointer.removeprefix("#/").split("/"):
        node = node[key.replace("~1", "/").replace("~0", "~")]
    return node


def leaves(schema, instance):
    """The schemas that speak of `instance`: references followed, alternatives side by side, those that cannot be meant left
    out."""
    if "$ref" in schema:
        yield from leaves(resolve(schema["$ref"]), instance)
    for key in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(key, ()):
            yield from leaves(part, instance)
    if meant(schema, instance):
        yield schema


def meant(schema, instance):
    """False where a constant of the schema, such as the `type` of an item, says that another alternative is meant."""
    if not isinstance(instance, dict):
        return True
    for key, wanted in schema.get("properties", {}).items():
        allowed = wanted.get("enum") or ([wanted["const"]] if "const" in wanted else None)
        if key in ("type", "object", "role") and allowed and key in instance and instance[key] not in allowed:
            return False
    return True


def unnamed(schemas, instance, place=""):
    """Places of fields that no schema names. JSON Schema allows them; an SDK that parses strictly does not."""
    schemas = [leaf for schema in schemas for leaf in leaves(schema, instance)]
    if isinstance(instance, list):
        items = [schema["items"] for schema in schemas if isinstance(schema.get("items"), dict)]
        for item in instance if items else ():
            yield from unnamed(items, item, f"{place}/*")
    if not isinstance(instance, dict):
        return
    objects = [schema for schema in schemas if "properties" in schema or "additionalProperties" in schema]
    # A schema that is empty allows anything.
    open_ended = not objects or any(schema.get("additionalProperties", False) is not False for schema in objects)
    for key, value in instance.items():
        named = [schema["properties"][key] for schema in objects if key in schema.get("properties", {})]
        if named:
            yield from unnamed(named, value, f"{place}/{key}")
        elif not open_ended:
            yield f"{place}/{key}"


# -- differences ------------------------------------------------------------------------------------------------------

def wrong(error):
    """The innermost reason of a schema's error: place and words, without the values."""
    from jsonschema.exceptions import best_match
    error = best_match([error])
    place = "".join("/*" if isinstance(step, int) else f"/{step}" for step in error.absolute_path)
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        return [(f"{place}/{key}", "missing") for key in missing]
    said = error.validator_value if error.validator in ("type", "const", "minItems", "minLength", "minimum", "maximum") else ""
    return [(place or "/", f"{error.validator} {json.dumps(said) if said != '' else ''}".strip())]


def compared(operation, part, pointer, instance):
    if instance is NOT_JSON:
        yield Difference(operation, part, "/", "not JSON")
        return
    found = {}
    for error in validator(pointer).iter_errors(instance):
        for place, what in wrong(error):
            # What is of the wrong type is not in the enumeration either; one of them says it.
            if not found.get(place, "").startswith("type"):
                found[place] = what
    for place, what in found.items():
        yield Difference(operation, part, place, what)
    if part not in ("request", "asked"):
        for place in unnamed([{"$ref": pointer}], instance):
            yield Difference(operation, part, place, "not in the description")


def events(told):
    """What the `data:` lines of a stream hold, as far as they came whole."""
    for event in re.split(r"\r?\n\r?\n", told)[:-1]:
        data = "\n".join(line[5:].removeprefix(" ") for line in event.splitlines() if line.startswith("data:"))
        if data and data != "[DONE]":
            yield parsed(data)


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return NOT_JSON


def of_request(operation, part, exchange):
    # A form is parts and files; the description has schemas for what is sent as JSON.
    if operation.request and exchange["sent"] and not exchange["sent"].startswith("--"):
        yield from compared(operation.name, part, operation.request, parsed(exchange["sent"]))


def of_answer(operation, exchange):
    """What the description does not allow in an answer, its events, or an error."""
    error = "#/components/schemas/ErrorResponse"
    told = exchange["told"]
    if exchange["status"] >= 400:
        yield from compared("errors", "error", error, parsed(told))
    elif told and operation.answer is None:
        yield Difference(operation.name, "answer", "/", "not in the description")
    elif told and not told.startswith(("data:", "event:", ":")):
        yield from compared(operation.name, "answer", operation.answer, parsed(told))
    elif told:
        for event in events(told):
            if isinstance(event, dict) and set(event) == {"error"}:
                yield from compared("errors", "error", error, event)
            else:
                # Completions are streamed in the shape of the whole answer; the description has words for it and no schema.
                yield from compared(operation.name, "event", operation.event or operation.answer, event)
