// Vercel's AI SDK, the strictest reader of both dialects: it checks every answer and chunk against a schema.
import assert from 'node:assert/strict';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, streamText } from 'ai';
import { cases, env, onlyGateway, parsed, suite } from './harness.mjs';

const openai = createOpenAI({ baseURL: env.SB_BASE + '/v1', apiKey: env.SB_KEY });
const anthropic = createAnthropic({ baseURL: env.SB_BASE + '/v1', apiKey: env.SB_KEY });

// answer asks through the SDK; what its checks refuse is thrown.
export async function answer(model, stream) {
  const options = { model, prompt: 'Hello', maxRetries: 0, maxOutputTokens: 500 };
  if (!stream) return generateText(options);
  let failure;
  const got = streamText({ ...options, onError: ({ error }) => { failure = error; } });
  const all = { text: '', toolCalls: [] };
  for await (const part of got.fullStream) {
    if (part.type === 'text-delta') all.text += part.text;
    if (part.type === 'tool-call') all.toolCalls.push(part);
    if (part.type === 'finish') all.usage = part.totalUsage;
  }
  if (failure) throw failure;
  return all;
}

export function same(got, want) {
  assert.equal(got.text, want.text || want.refusal);
  assert.deepEqual(got.toolCalls.map((c) => ({ name: c.toolName, args: parsed(c.input) })), want.calls);
}

const good = cases.filter((c) => c.want && c.status === 200 && !c.want.error && c.want.stop !== 'function_call');

suite('ai-sdk', (test) => {
  for (const c of good.filter((x) => x.request)) {
    test(`${c.dialect} ${c.provider}-${c.id}`, async () => {
      same(await answer(c.dialect === 'chat' ? openai.chat(c.id) : anthropic(c.id), c.stream), { ...c.want, refusal: '' });
    });
  }
});

suite('ai-sdk-cross', (test) => {
  for (const c of good) {
    test(`${c.dialect} ${c.provider}-${c.id}`, async () => {
      onlyGateway();
      same(await answer(c.dialect === 'chat' ? anthropic(c.id) : openai.chat(c.id), c.stream), c.want);
    });
  }
});
