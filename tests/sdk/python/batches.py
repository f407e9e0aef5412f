"""The stock OpenAI Python SDK against files and batches of a running Hermetic.

Takes BASE_URL, API_KEY and CHAT_MODEL from the environment and exits with 1 at the first mismatch.
"""

import json
import os
import sys
import time

import openai

CHAT_MODEL = os.environ["CHAT_MODEL"]
WITHIN_S = 300


def check(claim, holds, found=""):
    print(("ok    " if holds else "FAIL  ") + claim + ("" if holds else f": {found!r}"))
    if not holds:
        sys.exit(1)


def line(custom_id, model):
    body = {"model": model, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body})


def ended(batch):
    until = time.monotonic() + WITHIN_S
    while batch.status not in ("completed", "failed", "expired", "cancelled") and time.monotonic() < until:
        time.sleep(0.2)
        batch = client.batches.retrieve(batch.id)
    return batch


client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], timeout=300)

lines = [line("one", CHAT_MODEL), line("two", CHAT_MODEL), line("three", "no-such-model")]
text = "\n".join(lines).encode()
file = client.files.create(file=("lines.jsonl", text), purpose="batch")
check("a file is taken in", file.purpose == "batch" and file.bytes == len(text), file)
check("a file is listed", file.id in {known.id for known in client.files.list(limit=10)})
check("a file is read back", client.files.content(file.id).content == text)

batch = client.batches.create(
    input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"from": "sdk"}
)
check("a batch begins", batch.id.startswith("batch_") and batch.metadata == {"from": "sdk"}, batch)
check("a batch is listed", batch.id in {known.id for known in client.batches.list(limit=10)})
batch = ended(batch)
counts = batch.request_counts
check("a batch is completed", batch.status == "completed" and (counts.total, counts.completed, counts.failed) == (3, 2, 1), batch)

results = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
check("each line has its result", [result["custom_id"] for result in results] == ["one", "two"], results)
check("a result is an answer", all(result["response"]["body"]["choices"] for result in results), results)
errors = [json.loads(line) for line in client.files.content(batch.error_file_id).text.splitlines()]
check("a line that fails says why", errors[0]["response"]["body"]["error"]["code"] == "E0810", errors)

wrong = client.files.create(file=("wrong.jsonl", b"{"), purpose="batch")
failed = ended(client.batches.create(input_file_id=wrong.id, endpoint="/v1/embeddings", completion_window="24h"))
check("mistakes are named with their line", failed.status == "failed" and failed.errors.data[0].line == 1, failed)

for known in (file.id, wrong.id, batch.output_file_id, batch.error_file_id):
    check(f"{known} is deleted", client.files.delete(known).deleted)
try:
    client.files.retrieve(file.id)
    check("a file that was deleted is gone", False)
except openai.NotFoundError as error:
    check("a file that was deleted is gone", error.code == "E0862", error.code)
