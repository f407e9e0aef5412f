// The stock OpenAI Node SDK against a running Hermetic.
//
// Takes BASE_URL, API_KEY, CHAT_MODEL and EMBED_MODEL from the environment and exits with 1 at the first mismatch.
// Needs: npm install

import OpenAI from "openai";

const { BASE_URL, API_KEY, CHAT_MODEL, EMBED_MODEL } = process.env;
const PROMPT = [{ role: "user", content: "Say hello in one short sentence." }];

function check(claim, holds, found) {
  console.log((holds ? "ok    " : "FAIL  ") + claim + (holds ? "" : `: ${JSON.stringify(found)}`));
  if (!holds) process.exit(1);
}

// `call` must reject with the SDK's own error class `kind` and our code.
async function refused(claim, kind, status, call) {
  try {
    await call();
  } catch (error) {
    const holds = error instanceof kind && [status].flat().includes(error.status) && String(error.code).startsWith("E");
    check(claim, holds, { name: error.constructor.name, status: error.status, code: error.code });
    return;
  }
  check(claim, false, "no error");
}

const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, timeout: 300_000 });

const models = [];
for await (const model of client.models.list()) models.push(model.id);
check("models lists the chat and the embedding model", models.includes(CHAT_MODEL) && models.includes(EMBED_MODEL), models);

const plain = await client.chat.completions.create({ model: CHAT_MODEL, messages: PROMPT, max_tokens: 24, temperature: 0, seed: 7 });
check("a plain answer has text", Boolean(plain.choices[0].message.content), plain);
check("a plain answer counts its tokens", plain.usage.prompt_tokens > 0 && plain.usage.completion_tokens > 0, plain.usage);
check("an answer names its request", String(plain._request_id).startsWith("req_"), plain._request_id);

let text = "";
let chunks = 0;
const reasons = [];
const stream = await client.chat.completions.create({
  model: CHAT_MODEL, messages: PROMPT, max_tokens: 24, temperature: 0, seed: 7, stream: true,
});
for await (const chunk of stream) {
  chunks += 1;
  if (chunk.choices.length !== 1) check("a stream without include_usage has a choice in every chunk", false, chunk);
  text += chunk.choices[0].delta.content ?? "";
  if (chunk.choices[0].finish_reason) reasons.push(chunk.choices[0].finish_reason);
}
check("a stream comes in several chunks", chunks > 1, chunks);
check("a stream says the same as the plain answer", text === plain.choices[0].message.content, text);
check("a stream says once why it stopped", reasons.length === 1, reasons);

let usage = null;
const counted = await client.chat.completions.create({
  model: CHAT_MODEL, messages: PROMPT, max_tokens: 8, temperature: 0, stream: true, stream_options: { include_usage: true },
});
for await (const chunk of counted) usage = chunk.usage ?? usage;
check("a stream reports usage when asked", usage?.completion_tokens > 0, usage);

const left = await client.chat.completions.create({ model: CHAT_MODEL, messages: PROMPT, max_tokens: 200, stream: true });
for await (const chunk of left) {
  if (chunk.choices.length) break; // leaving the loop hangs up
}
check("a stream can be left", true);

const legacy = await client.completions.create({ model: CHAT_MODEL, prompt: "The capital of France is", max_tokens: 4, temperature: 0 });
check("a completion has text", Boolean(legacy.choices[0].text), legacy);

// Asks for base64 by itself and decodes it, unless told otherwise.
const vectors = await client.embeddings.create({ model: EMBED_MODEL, input: ["a red car", "a crimson automobile", "tax law"], encoding_format: "float" });
check("embeddings come in order", vectors.data.map((item) => item.index).join() === "0,1,2", vectors.data.map((item) => item.index));
const cosine = (a, b) => {
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
};
const [car, automobile, law] = vectors.data.map((item) => item.embedding);
check("embeddings know that a car is an automobile", cosine(car, automobile) > cosine(car, law));
const packed = await client.embeddings.create({ model: EMBED_MODEL, input: "a red car" });
check("embeddings in the SDK's default encoding are the same", cosine(car, packed.data[0].embedding) > 0.9999, packed.data[0].embedding.length);

const impatient = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0 });
const stranger = new OpenAI({ baseURL: BASE_URL, apiKey: `hk_0000000000000000_${"A".repeat(43)}`, maxRetries: 0 });
await refused("an unknown key is an AuthenticationError", OpenAI.AuthenticationError, 401, () =>
  stranger.chat.completions.create({ model: CHAT_MODEL, messages: PROMPT }));
await refused("an unknown model is a NotFoundError", OpenAI.NotFoundError, 404, () =>
  impatient.chat.completions.create({ model: `${CHAT_MODEL}-nope`, messages: PROMPT }));
// Where policy keeps this caller to chat models, it speaks first: 403 instead of 400.
await refused("an embedding model asked to chat is refused", OpenAI.APIError, [400, 403], () =>
  impatient.chat.completions.create({ model: EMBED_MODEL, messages: PROMPT }));
console.log("node sdk ok");
