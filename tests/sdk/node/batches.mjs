// The stock OpenAI Node SDK against files and batches of a running Hermetic.
//
// Takes BASE_URL, API_KEY and CHAT_MODEL from the environment and exits with 1 at the first mismatch.

import OpenAI, { toFile } from "openai";

const { BASE_URL, API_KEY, CHAT_MODEL } = process.env;
const WITHIN_MS = 300_000;

function check(claim, holds, found = "") {
  console.log((holds ? "ok    " : "FAIL  ") + claim + (holds ? "" : `: ${JSON.stringify(found)}`));
  if (!holds) process.exit(1);
}

const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, timeout: WITHIN_MS });

const body = { model: CHAT_MODEL, messages: [{ role: "user", content: "Say hello." }], max_tokens: 8 };
const line = (id) => JSON.stringify({ custom_id: id, method: "POST", url: "/v1/chat/completions", body });
const text = [line("one"), line("two")].join("\n");
const file = await client.files.create({ file: await toFile(Buffer.from(text), "lines.jsonl"), purpose: "batch" });
check("a file is taken in", file.bytes === Buffer.byteLength(text) && file.filename === "lines.jsonl", file);

let batch = await client.batches.create({
  input_file_id: file.id, endpoint: "/v1/chat/completions", completion_window: "24h",
});
const until = Date.now() + WITHIN_MS;
while (!["completed", "failed", "expired", "cancelled"].includes(batch.status) && Date.now() < until) {
  await new Promise((again) => setTimeout(again, 200));
  batch = await client.batches.retrieve(batch.id);
}
check("a batch is completed", batch.status === "completed" && batch.request_counts.completed === 2, batch);
const output = await (await client.files.content(batch.output_file_id)).text();
const ids = output.trim().split("\n").map((result) => JSON.parse(result).custom_id);
check("each line has its result", ids.join() === "one,two", output);
check("a file is deleted", (await client.files.delete(file.id)).deleted);
