// A client of every front door, and every recorded answer of every provider asked for by each: see py/doors.py.
import assert from 'node:assert/strict';
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { GoogleGenAI } from '@google/genai';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { CohereClientV2 } from 'cohere-ai';
import { all, anthropicClient, collect, env, hello, onlyGateway, openaiClient, skip, suite } from './harness.mjs';
import * as plain from './plain.mjs';
import * as read from './read.mjs';

export const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const func = { name: 'weather', description: 'The weather of a city.', parameters: schema };

export const bedrockClient = (base = env.SB_BASE, key = env.SB_KEY) => new BedrockRuntimeClient({
  region: 'us-east-1', endpoint: base, maxAttempts: 1, requestHandler: new NodeHttpHandler({ requestTimeout: 30_000 }),
  token: { token: key }, authSchemePreference: ['httpBearerAuth'] });
export const geminiClient = (base = env.SB_BASE, key = env.SB_KEY) =>
  new GoogleGenAI({ apiKey: key, vertexai: false, httpOptions: { baseUrl: base, timeout: 30_000 } });
export const cohereClient = (base = env.SB_BASE, key = env.SB_KEY) => new CohereClientV2({ token: key, environment: base, maxRetries: 0, timeoutInSeconds: 30 });

// Each door: ask(client, model, stream, tools, accumulated) gives what a plain reader of its answer finds.
export const doors = {
  chat: { make: openaiClient, accumulates: true, async ask(c, model, stream, tools, accumulated) {
    const body = { model, messages: hello, ...(tools && { tools: [{ type: 'function', function: func }] }) };
    if (!stream) return read.chatWhole(await c.chat.completions.create(body));
    const usage = { stream_options: { include_usage: true } };
    if (accumulated) return read.chatWhole(await c.chat.completions.stream({ ...body, ...usage }).finalChatCompletion());
    return read.chatStream(await collect(await c.chat.completions.create({ ...body, ...usage, stream: true })));
  } },
  messages: { make: anthropicClient, accumulates: true, async ask(c, model, stream, tools, accumulated) {
    const body = { model, max_tokens: 500, messages: hello, ...(tools && { tools: [{ name: func.name, input_schema: schema }] }) };
    if (!stream) return read.messagesWhole(await c.messages.create(body));
    if (accumulated) return read.messagesWhole(await c.messages.stream(body).finalMessage());
    return read.messagesStream(await collect(await c.messages.create({ ...body, stream: true })));
  } },
  responses: { make: openaiClient, accumulates: true, async ask(c, model, stream, tools, accumulated) {
    const body = { model, input: 'Hello', ...(tools && { tools: [{ type: 'function', strict: false, ...func }] }) };
    if (!stream) return plain.responsesWhole(await c.responses.create(body));
    if (accumulated) return plain.responsesWhole(await c.responses.stream(body).finalResponse());
    return plain.responsesStream(await collect(await c.responses.create({ ...body, stream: true })));
  } },
  gemini: { make: geminiClient, async ask(c, model, stream, tools) {
    const config = tools && { tools: [{ functionDeclarations: [{ name: func.name, description: func.description, parametersJsonSchema: schema }] }] };
    const body = { model, contents: 'Hello', ...(config && { config }) };
    if (!stream) return plain.geminiStream([await c.models.generateContent(body)]);
    return plain.geminiStream(await collect(await c.models.generateContentStream(body)));
  } },
  cohere: { make: cohereClient, async ask(c, model, stream, tools) {
    const body = { model, messages: hello, ...(tools && { tools: [{ type: 'function', function: func }] }) };
    if (!stream) return plain.cohereWhole(await c.chat(body));
    return plain.cohereStream(await collect(await c.chatStream(body)));
  } },
  converse: { make: bedrockClient, async ask(c, modelId, stream, tools) {
    const toolConfig = tools && { tools: [{ toolSpec: { name: func.name, inputSchema: { json: schema } } }] };
    const body = { modelId, messages: [{ role: 'user', content: [{ text: 'Hello' }] }], ...(toolConfig && { toolConfig }) };
    if (!stream) return plain.converseWhole(await c.send(new ConverseCommand(body)));
    return plain.converseStream(await collect((await c.send(new ConverseStreamCommand(body))).stream));
  } },
};

function same(dialect, got, c) {
  if (['chat', 'responses'].includes(dialect) && got.refusal) assert.deepEqual([got.text, got.refusal], [c.want.text, c.want.refusal]);
  else assert.equal(got.text, c.want.text + c.want.refusal);
  assert.deepEqual(got.calls, c.want.calls);
  const wanted = plain.end(c.dialect, c.want);
  if (wanted && !(dialect === 'cohere' && wanted === 'filter')) assert.equal(plain.end(dialect, got), wanted);
  const counted = plain.counts(c.want);
  if (!counted) return;
  const [found, total] = [plain.counts(got), plain.total(c)];
  const sum = ([a, b]) => a + b;
  if (!(sum(found) === total && total > sum(counted))) assert.deepEqual(found, counted);
}

suite('doors', (test) => {
  for (const [dialect, door] of Object.entries(doors)) {
    const client = door.make();
    for (const c of all.filter((x) => x.want && x.status === 200 && !x.want.error)) {
      const old = ['chat', 'messages'];
      if (old.includes(dialect) && old.includes(c.dialect)) continue; // the older suites do
      for (const accumulated of c.stream && door.accumulates ? [false, true] : [false]) {
        test(`${dialect} on ${c.dialect} ${c.provider}-${c.id}${accumulated ? ' accumulated' : ''}`, async () => {
          if (dialect !== c.dialect) onlyGateway();
          if (c.array && dialect === 'gemini') skip('this client reads events alone, and asks for them');
          same(dialect, await door.ask(client, c.id, c.stream, c.want.calls.length > 0, accumulated), c);
        });
      }
    }
  }
});
