// The stock Anthropic Node SDK against a running Hermetic.
//
// Takes BASE_URL, API_KEY and CHAT_MODEL from the environment and exits with 1 at the first mismatch.
// Needs: npm install

import Anthropic from "@anthropic-ai/sdk";

const { BASE_URL, API_KEY, CHAT_MODEL } = process.env;
const ask = {
  model: CHAT_MODEL, system: "You are brief.", max_tokens: 24, temperature: 0,
  messages: [{ role: "user", content: "Say hello in one short sentence." }],
};

function check(claim, holds, found) {
  console.log((holds ? "ok    " : "FAIL  ") + claim + (holds ? "" : `: ${JSON.stringify(found)}`));
  if (!holds) process.exit(1);
}

// Anthropic's base URL has no version in it.
const options = { baseURL: BASE_URL.replace(/\/v1$/, ""), apiKey: API_KEY, timeout: 300_000, maxRetries: 0 };
const client = new Anthropic(options);

const plain = await client.messages.create(ask);
const text = plain.content.map((block) => block.text).join("");
check("a message has text", text.length > 0 && plain.type === "message", plain);
check("a message counts its tokens", plain.usage.input_tokens > 0 && plain.usage.output_tokens > 0, plain.usage);
check("a message names its request", String(plain._request_id).startsWith("req_"), plain._request_id);

let streamed = "";
const stream = client.messages.stream(ask);
stream.on("text", (delta) => { streamed += delta; });
const final = await stream.finalMessage();
check("a stream says what a plain message says", streamed === text, [streamed, text]);
check("a stream ends as a plain message does", final.stop_reason === plain.stop_reason, final);
check("a stream counts what a plain message counts", final.usage.output_tokens === plain.usage.output_tokens, final.usage);

const counted = await client.messages.countTokens({ model: ask.model, system: ask.system, messages: ask.messages });
check("the tokens counted before are the tokens counted after", counted.input_tokens === plain.usage.input_tokens, counted);

try {
  await new Anthropic({ ...options, apiKey: "hk_nobody" }).messages.create(ask);
  check("a stranger is refused", false, "no error");
} catch (error) {
  check("a stranger is refused", error instanceof Anthropic.AuthenticationError && error.status === 401, error);
}
