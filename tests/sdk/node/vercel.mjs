// The Vercel AI SDK, with its providers of OpenAI's two APIs, of servers that speak like OpenAI, and of Anthropic.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, embedMany, generateText, jsonSchema, streamText, tool } from "ai";
import {
  API_KEY, BASE_URL, CHAT_MODEL, EMBED_MODEL, MOOD, MOOD_QUESTION, STRANGER, TEXT, TEXTS, WEATHER, WEATHER_QUESTION, alike, all, claim,
  feature, isMood, isWeather, made, notOffered, refused, report,
} from "./features.mjs";

// Its notices about fields that a provider does not know are for people, not for this output.
globalThis.AI_SDK_LOG_WARNINGS = false;

const no = (error) => APICallError.isInstance(error) && error.statusCode === 400 && JSON.parse(error.responseBody).error.code;
const steady = { maxRetries: 0, temperature: 0, maxOutputTokens: 24 };
const forced = {
  ...steady, maxOutputTokens: 200, prompt: WEATHER_QUESTION, toolChoice: "required",
  tools: { get_weather: tool({ description: "The weather in a city.", inputSchema: jsonSchema(WEATHER) }) },
};

function isCall(calls) {
  claim(made(calls)[0].toolName === "get_weather", calls);
  calls.forEach((call) => isWeather(call.input));
}

async function streamed(settings) {
  let failed;
  const result = streamText({ ...settings, onError: ({ error }) => { failed = error; } });
  const parts = await all(result.fullStream);
  if (failed) throw failed;
  return { result, parts };
}

function checks(model) {
  feature("chat", async () => {
    const answer = await generateText({ ...steady, model, prompt: TEXT });
    claim(answer.text && answer.usage.outputTokens > 0, answer.usage);
  });

  feature("streaming", async () => {
    const { parts } = await streamed({ ...steady, model, prompt: TEXT });
    const text = parts.filter(({ type }) => type === "text-delta").map((part) => part.text).join("");
    claim(text === (await generateText({ ...steady, model, prompt: TEXT })).text, text);
  });

  feature("usage of streams", async () => {
    const { result } = await streamed({ ...steady, model, prompt: TEXT });
    const { usage } = await generateText({ ...steady, model, prompt: TEXT });
    claim((await result.usage).outputTokens === usage.outputTokens, await result.usage, usage);
  });

  feature("leaving a stream", async () => {
    for await (const text of streamText({ ...steady, maxOutputTokens: 200, model, prompt: TEXT }).textStream) {
      if (text) break; // leaving the loop hangs up
    }
    claim((await generateText({ ...steady, model, prompt: TEXT })).text);
  });

  feature("tools", async () => isCall((await generateText({ ...forced, model })).toolCalls), no);

  feature("tools, streamed", async () => isCall(await (await streamed({ ...forced, model })).result.toolCalls), no);

  feature("several tool calls", async () => {
    const parts = (more) => ["Paris", "Rome"].map((city) => ({ toolCallId: `call_${city}`, toolName: "get_weather", ...more(city) }));
    const messages = [
      { role: "user", content: WEATHER_QUESTION },
      { role: "assistant", content: parts((city) => ({ type: "tool-call", input: { city } })) },
      { role: "tool", content: parts(() => ({ type: "tool-result", output: { type: "text", value: "sunny" } })) },
    ];
    const { prompt, ...settings } = forced;
    isCall((await generateText({ ...settings, model, messages })).toolCalls);
  }, no);

  feature("JSON schema", async () => {
    const output = Output.object({ schema: jsonSchema(MOOD) });
    // Where it does not know a model by name, its provider of Anthropic's API would put the schema into a tool.
    const providerOptions = { anthropic: { structuredOutputMode: "outputFormat" } };
    isMood((await generateText({ ...steady, maxOutputTokens: 60, model, output, providerOptions, prompt: MOOD_QUESTION })).output);
  }, no);

  notOffered("not part of the AI SDK", "several answers", "completions", "models", "token count", "responses", "responses, streamed",
    "responses, tools", "responses, JSON schema");
}

function errors(make) {
  feature("errors", async () => {
    const is = (status) => (error) => APICallError.isInstance(error) && error.statusCode === status;
    const ask = { ...steady, prompt: TEXT };
    await refused(is(401), () => generateText({ ...ask, model: make(STRANGER)(CHAT_MODEL) }));
    await refused(is(404), () => generateText({ ...ask, model: make(API_KEY)("nobody-knows") }));
  });
}

function seed(model) {
  feature("seed", async () => {
    const once = async () => (await generateText({ ...steady, temperature: 1, seed: 3, model, prompt: TEXT })).text;
    claim((await once()) === (await once()));
  }, no);
}

function embeddings(model) {
  feature("embeddings", async () => alike((await embedMany({ model, values: TEXTS, maxRetries: 0 })).embeddings), no);
}

const compatible = (apiKey) => createOpenAICompatible({
  name: "hermetic", baseURL: BASE_URL, apiKey, includeUsage: true, supportsStructuredOutputs: true,
});
checks(compatible(API_KEY)(CHAT_MODEL));
seed(compatible(API_KEY)(CHAT_MODEL));
embeddings(compatible(API_KEY).textEmbeddingModel(EMBED_MODEL));
errors(compatible);
notOffered("not part of this provider", "log-probabilities");
await report("AI SDK, compatible", "@ai-sdk/openai-compatible");

const chat = (apiKey) => createOpenAI({ baseURL: BASE_URL, apiKey }).chat;
checks(chat(API_KEY)(CHAT_MODEL));
seed(chat(API_KEY)(CHAT_MODEL));
embeddings(createOpenAI({ baseURL: BASE_URL, apiKey: API_KEY }).textEmbeddingModel(EMBED_MODEL));
errors(chat);
feature("log-probabilities", async () => {
  const answer = await generateText({
    ...steady, model: chat(API_KEY)(CHAT_MODEL), prompt: TEXT, providerOptions: { openai: { logprobs: 2 } },
  });
  claim(answer.providerMetadata.openai.logprobs.length > 0, answer.providerMetadata);
}, no);
await report("AI SDK, OpenAI chat", "@ai-sdk/openai");

const respond = (apiKey) => createOpenAI({ baseURL: BASE_URL, apiKey }).responses;
checks(respond(API_KEY)(CHAT_MODEL));
errors(respond);
notOffered("not in OpenAI's Responses as it is offered", "log-probabilities", "seed", "embeddings");
await report("AI SDK, OpenAI Responses", "@ai-sdk/openai");

const messages = (apiKey) => createAnthropic({ baseURL: BASE_URL, apiKey });
checks(messages(API_KEY)(CHAT_MODEL));
errors(messages);
notOffered("not in Anthropic's Messages", "log-probabilities", "seed", "embeddings");
await report("AI SDK, Anthropic", "@ai-sdk/anthropic");
