// The stock OpenAI Node SDK.

import OpenAI from "openai";
import {
  API_KEY, BASE_URL, CHAT_MODEL, EMBED_MODEL, MOOD, MOOD_QUESTION, PROMPT, STRANGER, TEXT, TEXTS, WEATHER, WEATHER_QUESTION, alike,
  all, claim, feature, isMood, isWeather, made, notOffered, refused, report,
} from "./features.mjs";

const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, timeout: 300_000, maxRetries: 0 });
const chat = client.chat.completions;
const no = (error) => error instanceof OpenAI.BadRequestError && error.code;
const ask = { model: CHAT_MODEL, messages: PROMPT, max_tokens: 24, temperature: 0, seed: 7 };
const forced = {
  ...ask, max_tokens: 200, messages: [{ role: "user", content: WEATHER_QUESTION }], tool_choice: "required",
  tools: [{ type: "function", function: { name: "get_weather", description: "The weather in a city.", parameters: WEATHER, strict: true } }],
};
const schema = { name: "mood", strict: true, schema: MOOD };

feature("chat", async () => {
  const answer = await chat.create(ask);
  claim(answer.choices[0].message.content && answer.usage.completion_tokens > 0, answer);
  claim(String(answer._request_id).startsWith("req_"), answer._request_id);
});

feature("streaming", async () => {
  const chunks = await all(await chat.create({ ...ask, stream: true }));
  claim(chunks.length > 2 && chunks.every((chunk) => chunk.choices.length === 1), chunks.length);
  const text = chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");
  claim(text === (await chat.create(ask)).choices[0].message.content, text);
  claim(chunks.filter((chunk) => chunk.choices[0].finish_reason).length === 1, chunks.at(-1));
});

feature("usage of streams", async () => {
  const chunks = await all(await chat.create({ ...ask, stream: true, stream_options: { include_usage: true } }));
  const told = chunks.filter((chunk) => chunk.usage);
  const { usage } = await chat.create(ask);
  claim(told.length === 1 && told[0].usage.completion_tokens === usage.completion_tokens, told, usage);
});

feature("leaving a stream", async () => {
  for await (const chunk of await chat.create({ ...ask, max_tokens: 200, stream: true })) {
    if (chunk.choices.length) break; // leaving the loop hangs up
  }
  claim((await chat.create(ask)).choices[0].message.content);
});

feature("tools", async () => {
  const { choices: [choice] } = await chat.create(forced);
  made(choice.message.tool_calls).forEach((call) => isWeather(call.function.arguments));
  const results = choice.message.tool_calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "sunny" }));
  const messages = [...forced.messages, choice.message, ...results];
  claim((await chat.create({ ...forced, messages, tool_choice: "none" })).choices[0].message.content);
}, no);

feature("tools, streamed", async () => {
  const chunks = await all(await chat.create({ ...forced, parallel_tool_calls: false, stream: true }));
  const calls = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
  isWeather(made(calls).map((call) => call.function.arguments ?? "").join(""));
}, no);

// Both calls are in the conversation already: whether a small model calls twice by itself is its own affair.
feature("several tool calls", async () => {
  const calls = ["Paris", "Rome"].map((city) => ({
    id: `call_${city}`, type: "function", function: { name: "get_weather", arguments: JSON.stringify({ city }) },
  }));
  const results = calls.map(({ id }) => ({ role: "tool", tool_call_id: id, content: "sunny" }));
  const messages = [...forced.messages, { role: "assistant", content: null, tool_calls: calls }, ...results];
  const { choices: [choice] } = await chat.create({ ...forced, messages, parallel_tool_calls: true });
  made(choice.message.tool_calls).forEach((call) => isWeather(call.function.arguments));
}, no);

feature("JSON schema", async () => {
  const messages = [{ role: "user", content: MOOD_QUESTION }];
  const answer = await chat.parse({ ...ask, messages, max_tokens: 60, response_format: { type: "json_schema", json_schema: schema } });
  isMood(answer.choices[0].message.content);
}, no);

feature("log-probabilities", async () => {
  const { choices: [{ logprobs }] } = await chat.create({ ...ask, logprobs: true, top_logprobs: 2 });
  claim(logprobs.content.length && logprobs.content.every((token) => token.top_logprobs.length === 2), logprobs);
}, no);

feature("several answers", async () => {
  const answer = await chat.create({ ...ask, temperature: 1, n: 2 });
  claim(answer.choices.length === 2 && answer.choices.every((choice) => choice.message.content), answer);
}, no);

feature("seed", async () => {
  const once = async () => (await chat.create({ ...ask, temperature: 1, seed: 3 })).choices[0].message.content;
  claim((await once()) === (await once()));
}, no);

feature("completions", async () => {
  const answer = await client.completions.create({ model: CHAT_MODEL, prompt: "The capital of France is", max_tokens: 4 });
  claim(answer.choices[0].text, answer);
}, no);

feature("embeddings", async () => {
  // Asks for base64 by itself and decodes it, unless told otherwise.
  const packed = await client.embeddings.create({ model: EMBED_MODEL, input: TEXTS });
  alike(packed.data.map((item) => item.embedding));
  const floats = await client.embeddings.create({ model: EMBED_MODEL, input: TEXTS, encoding_format: "float" });
  claim(floats.data[0].embedding.every((value, i) => Math.abs(value - packed.data[0].embedding[i]) < 1e-3));
}, no);

feature("models", async () => {
  const names = (await all(await client.models.list())).map((model) => model.id);
  claim(names.includes(CHAT_MODEL) && names.includes(EMBED_MODEL), names);
});

notOffered("OpenAI's API has none for chat", "token count");

feature("errors", async () => {
  const is = (kind, status) => (error) => error instanceof kind && error.status === status && String(error.code).startsWith("E");
  const stranger = new OpenAI({ baseURL: BASE_URL, apiKey: STRANGER, maxRetries: 0 });
  await refused(is(OpenAI.AuthenticationError, 401), () => stranger.chat.completions.create(ask));
  await refused(is(OpenAI.NotFoundError, 404), () => chat.create({ ...ask, model: "nobody-knows" }));
  await refused(is(OpenAI.BadRequestError, 400), () => chat.create({ ...ask, max_tokens: "many" }));
});

const respond = { model: CHAT_MODEL, instructions: "You are brief.", input: TEXT, max_output_tokens: 24, temperature: 0 };
const respondWithTool = {
  model: CHAT_MODEL, input: WEATHER_QUESTION, max_output_tokens: 200, temperature: 0, tool_choice: "required",
  tools: [{ type: "function", name: "get_weather", parameters: WEATHER, strict: true }],
};

feature("responses", async () => {
  const answer = await client.responses.create(respond);
  claim(answer.output_text && answer.usage.output_tokens > 0, answer);
});

feature("responses, streamed", async () => {
  const events = await all(await client.responses.create({ ...respond, stream: true }));
  const text = events.filter(({ type }) => type === "response.output_text.delta").map(({ delta }) => delta).join("");
  claim(text === (await client.responses.create(respond)).output_text, text);
  claim(events.at(-1).response.usage.output_tokens > 0, events.at(-1));
});

feature("responses, tools", async () => {
  const answer = await client.responses.create(respondWithTool);
  isWeather(made(answer.output.filter((item) => item.type === "function_call"))[0].arguments);
}, no);

feature("responses, JSON schema", async () => {
  const answer = await client.responses.parse({
    ...respond, input: MOOD_QUESTION, max_output_tokens: 60, text: { format: { type: "json_schema", ...schema } },
  });
  isMood(answer.output_text);
}, no);

await report("OpenAI Node", "openai");
