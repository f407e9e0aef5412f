// The stock Anthropic Node SDK.

import Anthropic from "@anthropic-ai/sdk";
import {
  API_KEY, CHAT_MODEL, MOOD, MOOD_QUESTION, PROMPT, ROOT_URL, STRANGER, WEATHER, WEATHER_QUESTION, all, claim, feature, isMood,
  isWeather, made, notOffered, refused, report,
} from "./features.mjs";

const options = { baseURL: ROOT_URL, apiKey: API_KEY, timeout: 300_000, maxRetries: 0 };
const client = new Anthropic(options);
const no = (error) => error instanceof Anthropic.BadRequestError && error.error.error.code;
const ask = { model: CHAT_MODEL, system: "You are brief.", max_tokens: 24, temperature: 0, messages: PROMPT };
const forced = {
  model: CHAT_MODEL, max_tokens: 200, temperature: 0, messages: [{ role: "user", content: WEATHER_QUESTION }],
  tools: [{ name: "get_weather", description: "The weather in a city.", input_schema: WEATHER, strict: true }], tool_choice: { type: "any" },
};
// Tokens of the prompt. Anthropic counts those apart that an engine had in its cache.
const readOf = (usage) => usage.input_tokens + (usage.cache_read_input_tokens ?? 0);
const textOf = (message) => message.content.map((block) => block.text ?? "").join("");

function callsOf(message) {
  const calls = message.content.filter((block) => block.type === "tool_use");
  made(calls);
  claim(message.stop_reason === "tool_use", message);
  calls.forEach((call) => isWeather(call.input));
  return calls;
}

feature("chat", async () => {
  const answer = await client.messages.create(ask);
  claim(textOf(answer) && answer.type === "message" && answer.usage.output_tokens > 0, answer);
  claim(String(answer._request_id).startsWith("req_"), answer._request_id);
});

feature("streaming", async () => {
  let text = "";
  const stream = client.messages.stream(ask).on("text", (delta) => { text += delta; });
  const final = await stream.finalMessage();
  const answer = await client.messages.create(ask);
  claim(text === textOf(answer) && final.stop_reason === answer.stop_reason, text, answer);
});

feature("usage of streams", async () => {
  const told = (await client.messages.stream(ask).finalMessage()).usage;
  const { usage } = await client.messages.create(ask);
  claim(readOf(told) === readOf(usage) && told.output_tokens === usage.output_tokens, told, usage);
});

feature("leaving a stream", async () => {
  for await (const event of await client.messages.create({ ...ask, max_tokens: 200, stream: true })) {
    if (event.type === "content_block_delta") break; // leaving the loop hangs up
  }
  claim(textOf(await client.messages.create(ask)));
});

feature("tools", async () => {
  const answer = await client.messages.create(forced);
  const results = callsOf(answer).map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "sunny" }));
  const messages = [...forced.messages, { role: "assistant", content: answer.content }, { role: "user", content: results }];
  claim(textOf(await client.messages.create({ ...forced, messages, tool_choice: { type: "none" } })));
}, no);

feature("tools, streamed", async () => {
  callsOf(await client.messages.stream(forced).finalMessage());
}, no);

// Both calls are in the conversation already: whether a small model calls twice by itself is its own affair.
feature("several tool calls", async () => {
  const calls = ["Paris", "Rome"].map((city) => ({ type: "tool_use", id: `call_${city}`, name: "get_weather", input: { city } }));
  const results = calls.map(({ id }) => ({ type: "tool_result", tool_use_id: id, content: "sunny" }));
  const messages = [...forced.messages, { role: "assistant", content: calls }, { role: "user", content: results }];
  callsOf(await client.messages.create({ ...forced, messages }));
}, no);

feature("JSON schema", async () => {
  const answer = await client.messages.create({
    ...ask, max_tokens: 60, messages: [{ role: "user", content: MOOD_QUESTION }],
    output_config: { format: { type: "json_schema", schema: MOOD } },
  });
  isMood(textOf(answer));
}, no);

notOffered("not in Anthropic's Messages", "log-probabilities", "several answers", "seed", "completions", "embeddings");

feature("models", async () => {
  const names = (await all(client.models.list())).map((model) => model.id);
  claim(names.includes(CHAT_MODEL), names);
});

feature("token count", async () => {
  const counted = await client.messages.countTokens({ model: ask.model, system: ask.system, messages: ask.messages });
  claim(counted.input_tokens === readOf((await client.messages.create(ask)).usage), counted);
});

feature("errors", async () => {
  const is = (kind, status) => (error) => error instanceof kind && error.status === status;
  await refused(is(Anthropic.AuthenticationError, 401), () => new Anthropic({ ...options, apiKey: STRANGER }).messages.create(ask));
  await refused(is(Anthropic.NotFoundError, 404), () => client.messages.create({ ...ask, model: "nobody-knows" }));
  const tools = [{ type: "web_search_20250305", name: "web_search" }];
  await refused(is(Anthropic.BadRequestError, 400), () => client.messages.create({ ...ask, tools }));
});

notOffered("OpenAI's own", "responses", "responses, streamed", "responses, tools", "responses, JSON schema");

await report("Anthropic Node", "@anthropic-ai/sdk");
