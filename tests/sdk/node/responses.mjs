// The Responses API of the stock OpenAI Node SDK against a running Hermetic.
//
// Takes BASE_URL, API_KEY and CHAT_MODEL from the environment and exits with 1 at the first mismatch.
// Needs: npm install

import OpenAI from "openai";

const { BASE_URL, API_KEY, CHAT_MODEL } = process.env;
const ask = {
  model: CHAT_MODEL, instructions: "You are brief.", input: "Say hello in one short sentence.",
  max_output_tokens: 24, temperature: 0,
};

function check(claim, holds, found) {
  console.log((holds ? "ok    " : "FAIL  ") + claim + (holds ? "" : `: ${JSON.stringify(found)}`));
  if (!holds) process.exit(1);
}

const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, timeout: 300_000, maxRetries: 0 });

const plain = await client.responses.create(ask);
check("a response has text", plain.output_text.length > 0, plain);
check("a response counts its tokens", plain.usage.input_tokens > 0 && plain.usage.output_tokens > 0, plain.usage);

let text = "";
let last;
for await (const event of await client.responses.create({ ...ask, stream: true })) {
  if (event.type === "response.output_text.delta") text += event.delta;
  last = event;
}
check("a stream says what a plain response says", text === plain.output_text, [text, plain.output_text]);
check("a stream ends with the whole response", last.response.usage.output_tokens === plain.usage.output_tokens, last);
