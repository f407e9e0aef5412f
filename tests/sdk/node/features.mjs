// The frame of every client's checks, as tests/sdk/python/features.py is for Python; its header says what is printed.

import { readFileSync } from "node:fs";

export const { BASE_URL, API_KEY, CHAT_MODEL, EMBED_MODEL } = process.env;
// Anthropic's base URL has no version in it.
export const ROOT_URL = BASE_URL.replace(/\/v1$/, "");
export const STRANGER = `hk_0000000000000000_${"A".repeat(43)}`;
export const TEXT = "Say hello in one short sentence.";
export const PROMPT = [{ role: "user", content: TEXT }];
export const WEATHER_QUESTION = "What is the weather in Paris and in Rome?";
// Arguments are enumerated: a very small model fills a free text without an end.
export const WEATHER = {
  type: "object", properties: { city: { type: "string", enum: ["Paris", "Rome"] } }, required: ["city"], additionalProperties: false,
};
export const MOOD = {
  type: "object", required: ["mood", "sure"], additionalProperties: false,
  properties: { mood: { type: "string", enum: ["glad", "sad"] }, sure: { type: "boolean" } },
};
export const MOOD_QUESTION = "I won the lottery. How do I feel? Answer in JSON.";
export const TEXTS = ["a red car", "a crimson automobile", "tax law"];

const features = [];

// Registers a check. `refusal` tells whether an error is the client's own for a request that was understood and refused.
export function feature(name, call, refusal = () => false) {
  features.push({ name, call, refusal });
}

export function notOffered(reason, ...names) {
  for (const name of names) features.push({ name, reason });
}

export function claim(holds, ...found) {
  if (!holds) throw new Error(`unmet: ${found.map((item) => JSON.stringify(item)?.slice(0, 400)).join(" ")}`);
}

class NotDone extends Error {}

// The calls of an answer that had to make one.
export function made(calls) {
  if (!calls?.length) throw new NotDone("text instead of a call");
  return calls;
}

export function isWeather(given) {
  const value = typeof given === "string" ? JSON.parse(given) : given;
  claim(["Paris", "Rome"].includes(value.city) && Object.keys(value).length === 1, value);
}

export function isMood(given) {
  const value = typeof given === "string" ? JSON.parse(given) : given;
  claim(["glad", "sad"].includes(value.mood) && typeof value.sure === "boolean", value);
}

export function alike([car, automobile, law]) {
  const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
  const cosine = (a, b) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  claim(car.length > 100 && cosine(car, automobile) > cosine(car, law), car.length);
}

// `call` must reject with the client's own error: `is` tells it from others.
export async function refused(is, call) {
  try {
    await call();
  } catch (error) {
    return claim(is(error), { name: error.constructor.name, status: error.status ?? error.statusCode, code: error.code });
  }
  throw new Error("unmet: expected an error, found an answer");
}

export async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

async function checked({ call, refusal, reason }) {
  if (!call) return ["not offered", reason];
  try {
    await call();
  } catch (error) {
    // The AI SDK finds the same by itself.
    if (error instanceof NotDone || error.name === "AI_ToolChoiceViolationError") return ["not done", "text instead of a call"];
    const code = refusal(error);
    if (code) return ["refused", String(code)];
    console.error(error);
    return ["fails", String(error).slice(0, 400)];
  }
  return ["works", ""];
}

export async function report(client, name) {
  const text = readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url));
  const version = JSON.parse(text).version;
  const wanted = process.argv.slice(2);
  for (const one of features) {
    if (wanted.length && !wanted.includes(one.name)) continue;
    const [result, note] = await checked(one);
    console.log(JSON.stringify({ client, version, feature: one.name, result, note }));
  }
  features.length = 0;
}
