// The same scenarios by the SDK of every newer front door, on the mock behind two other APIs.
import assert from 'node:assert/strict';
import { BedrockRuntimeServiceException, ConverseCommand, ConverseStreamCommand, CountTokensCommand } from '@aws-sdk/client-bedrock-runtime';
import { ApiError } from '@google/genai';
import { CohereError } from 'cohere-ai';
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { all, caught, collect, env, gateway, hello, onlyGateway, openaiClient, skip, suite } from './harness.mjs';
import { bedrockClient, cohereClient, doors, geminiClient, schema } from './doors.mjs';
import * as plain from './plain.mjs';

const errors = {
  responses: { kind: OpenAI.APIError, status: (e) => e.status },
  gemini: { kind: ApiError, status: (e) => e.status },
  cohere: { kind: CohereError, status: (e) => e.statusCode },
  converse: { kind: BedrockRuntimeServiceException, status: (e) => e.$metadata.httpStatusCode,
    names: { 400: 'ValidationException', 404: 'ResourceNotFoundException', 429: 'ThrottlingException', 500: 'InternalServerException', 503: 'ServiceUnavailableException' } },
};
const ways = { whole: false, streamed: true };

// firsts reads a few events of a stream and leaves it.
const firsts = {
  async responses(c, model) {
    const s = await c.responses.create({ model, input: 'Hello', stream: true });
    let n = 0;
    for await (const e of s) if (e.type === 'response.output_text.delta' && ++n === 3) break;
    s.controller.abort();
  },
  async gemini(c, model) {
    const abort = new AbortController();
    let n = 0;
    for await (const _ of await c.models.generateContentStream({ model, contents: 'Hello', config: { abortSignal: abort.signal } })) if (++n === 3) break;
    abort.abort();
  },
  async cohere(c, model) {
    const abort = new AbortController();
    let n = 0;
    for await (const _ of await c.chatStream({ model, messages: hello }, { abortSignal: abort.signal })) if (++n === 5) break;
    abort.abort();
  },
  async converse(c, modelId) {
    const abort = new AbortController();
    const body = { modelId, messages: [{ role: 'user', content: [{ text: 'Hello' }] }] };
    let n = 0;
    for await (const _ of (await c.send(new ConverseStreamCommand(body), { abortSignal: abort.signal })).stream) if (++n === 5) break;
    abort.abort();
  },
};

suite('scenarios', (test) => {
  const only = (name, run) => test(name, async () => {
    onlyGateway();
    await run();
  });
  Object.entries(errors).forEach(([dialect, { kind, status, names }], n) => {
    const client = doors[dialect].make(env.SB_MOCK);
    const ask = (model, stream, tools) => doors[dialect].ask(client, model, stream, tools);
    for (const [way, stream] of Object.entries(ways)) {
      for (const upstream of ['chat-only', 'messages-only']) {
        only(`${dialect} text and usage, ${way} on ${upstream}`, async () => {
          const got = await ask(upstream + '/tokens:7', stream);
          assert.equal(got.text.split(' ').filter(Boolean).length, 7);
          assert.equal(got.usage.output, 7);
          assert.equal(plain.end(dialect, got), 'end');
        });
        only(`${dialect} parallel calls, ${way} on ${upstream}`, async () => {
          const got = await ask(upstream + '/tools:2', stream, true);
          assert.deepEqual(got.calls.map((c) => [c.name, typeof c.args.city]), [['weather', 'string'], ['weather', 'string']]);
          assert.equal(plain.end(dialect, got), 'calls');
        });
        only(`${dialect} thinking, ${way} on ${upstream}`, async () => {
          const got = await ask(upstream + '/reasoning+echo', stream);
          assert.equal(got.text, 'Hello');
          assert(got.thinking || dialect === 'gemini'); // which shows thoughts only when asked
        });
        only(`${dialect} length, ${way} on ${upstream}`, async () => {
          assert.equal(plain.end(dialect, await ask(upstream + '/stop:length+tokens:3', stream)), 'length');
        });
        for (const code of [400, 404, 429, 500, 503]) {
          only(`${dialect} ${code}, ${way} on ${upstream}`, async () => {
            const e = await caught(ask(`${upstream}/${code}`, stream), kind);
            assert.equal(status(e), code === 500 ? 502 : code);
            if (names) assert.equal(e.name, names[code]);
          });
        }
      }
      only(`${dialect} wrong key, ${way}`, async () => {
        const e = await caught(doors[dialect].ask(doors[dialect].make(env.SB_MOCK, 'wrong-key-0123456789'), 'mock/text', stream), kind);
        assert.equal(status(e), dialect === 'converse' ? 403 : 401);
        assert(!e.message.includes('wrong-key'));
      });
      only(`${dialect} unknown model, ${way}`, async () => {
        const e = await caught(ask('no-such-model', stream), kind);
        assert.equal(status(e), 404);
        assert.match(e.message, /no-such-model/);
      });
      only(`${dialect} first-token failover, ${way}`, async () => assert.equal((await ask('moves-on', stream)).text, 'Hello'));
    }
    only(`${dialect} cut stream is no whole answer`, async () => {
      let got;
      try {
        got = await ask('chat-only/cut:3', true);
      } catch {
        return;
      }
      assert(!got.stop);
    });
    only(`${dialect} client cancels in mid-stream`, async () => {
      const words = 890 + n;
      await firsts[dialect](client, `chat-only/pace:20ms+tokens:${words}`);
      let aborted = false;
      for (let i = 0; i < 200 && !aborted; i++) {
        const { requests } = await (await fetch(env.SB_JOURNAL + '/__mock/requests')).json();
        aborted = requests.filter((r) => r.body.includes(`tokens:${words}`)).at(-1)?.aborted;
        if (!aborted) await new Promise((r) => setTimeout(r, 50));
      }
      assert(aborted, 'the upstream still sends');
    });
  });

  const [responses, gemini, cohere, bedrock] = [openaiClient(env.SB_MOCK), geminiClient(env.SB_MOCK), cohereClient(env.SB_MOCK), bedrockClient(env.SB_MOCK)];
  const counted = () => all.filter((c) => c.dialect === 'count' && c.status === 200);
  for (const upstream of ['chat-only', 'messages-only']) {
    for (const [way, stream] of Object.entries(ways)) {
      only(`responses tool round trip, ${way} on ${upstream}`, async () => {
        const input = [{ role: 'user', content: 'The weather?' }];
        const tools = [{ type: 'function', name: 'weather', parameters: { ...schema, additionalProperties: false }, strict: true }];
        const turn = async () => {
          const body = { model: upstream + '/tools:2+text', input, tools };
          return stream ? responses.responses.stream(body).finalResponse() : responses.responses.create(body);
        };
        const first = await turn();
        const calls = first.output.filter((i) => i.type === 'function_call');
        assert.equal(calls.length, 2);
        input.push(...first.output, ...calls.map((c) => ({ type: 'function_call_output', call_id: c.call_id, output: 'sunny' })));
        const second = await turn();
        assert(second.output_text ?? second.output.find((i) => i.type === 'message').content[0].text);
      });
      only(`gemini function round trip, ${way} on ${upstream}`, async () => {
        const contents = [{ role: 'user', parts: [{ text: 'The weather?' }] }];
        const config = { tools: [{ functionDeclarations: [{ name: 'weather', parametersJsonSchema: schema }] }] };
        const turn = async () => {
          const body = { model: upstream + '/tools+text', contents, config };
          const got = stream ? await collect(await gemini.models.generateContentStream(body)) : [await gemini.models.generateContent(body)];
          return got.flatMap((c) => c.candidates?.[0]?.content?.parts ?? []);
        };
        const first = (await turn()).filter((p) => p.functionCall);
        assert.equal(first[0].functionCall.name, 'weather');
        contents.push({ role: 'model', parts: first });
        contents.push({ role: 'user', parts: [{ functionResponse: { name: 'weather', id: first[0].functionCall.id, response: { result: 'sunny' } } }] });
        assert((await turn()).some((p) => p.text));
      });
    }
    only(`responses schema-bound output on ${upstream}`, async () => {
      const format = zodTextFormat(z.object({ city: z.string(), people: z.number() }), 'place');
      const got = await responses.responses.parse({ model: upstream + '/json', input: 'Hello', text: { format } });
      assert.equal(typeof got.output_parsed.city, 'string');
    });
    only(`gemini chat on ${upstream}`, async () => {
      const chat = gemini.chats.create({ model: upstream + '/echo' });
      assert.equal((await chat.sendMessage({ message: 'One' })).text, 'One');
      assert.equal((await collect(await chat.sendMessageStream({ message: 'Two' }))).map((c) => c.text ?? '').join(''), 'Two');
    });
    only(`cohere tool round trip on ${upstream}`, async () => {
      const messages = [...hello];
      const tools = [{ type: 'function', function: { name: 'weather', parameters: schema } }];
      const first = await cohere.chat({ model: upstream + '/tools:2+text', messages, tools });
      assert.equal(first.finishReason, 'TOOL_CALL');
      messages.push({ role: 'assistant', toolCalls: first.message.toolCalls });
      for (const c of first.message.toolCalls) messages.push({ role: 'tool', toolCallId: c.id, content: 'sunny' });
      assert((await cohere.chat({ model: upstream + '/tools:2+text', messages, tools })).message.content[0].text);
    });
    only(`converse tool round trip on ${upstream}`, async () => {
      const messages = [{ role: 'user', content: [{ text: 'The weather?' }] }];
      const toolConfig = { tools: [{ toolSpec: { name: 'weather', inputSchema: { json: schema } } }] };
      const turn = () => bedrock.send(new ConverseCommand({ modelId: upstream + '/tools:2+text', messages, toolConfig }));
      const first = await turn();
      assert.equal(first.stopReason, 'tool_use');
      const calls = first.output.message.content.filter((b) => b.toolUse);
      messages.push(first.output.message, { role: 'user', content: calls.map((b) => ({ toolResult: { toolUseId: b.toolUse.toolUseId, content: [{ text: 'sunny' }] } })) });
      assert.equal((await turn()).stopReason, 'end_turn');
    });
  }
  only('openai embeddings in base64 and floats', async () => {
    const body = { model: 'mock/embed', input: ['a cat', 'a dog'] };
    const packed = await responses.embeddings.create(body); // the SDK asks for base64
    const floats = await responses.embeddings.create({ ...body, encoding_format: 'float' });
    packed.data.forEach((d, i) => d.embedding.forEach((x, j) => assert(Math.abs(x - floats.data[i].embedding[j]) < 1e-6)));
  });
  only('gemini embeddings', async () => {
    const got = await gemini.models.embedContent({ model: 'mock/embed', contents: ['a cat', 'a cat', 'a dog'] });
    assert.deepEqual(got.embeddings[0].values, got.embeddings[1].values);
    assert.notDeepEqual(got.embeddings[0].values, got.embeddings[2].values);
  });
  only('cohere embeddings and rerank', async () => {
    const got = await cohere.embed({ model: 'mock/embed', texts: ['a cat', 'a dog'], inputType: 'search_document', embeddingTypes: ['float'] });
    assert.equal(got.embeddings.float.length, 2);
    const ranked = await cohere.rerank({ model: 'mock/rerank', query: 'a cat', documents: ['a dog', 'a cat', 'rain'], topN: 2 });
    assert.deepEqual([ranked.results[0].index, ranked.results.length], [1, 2]);
  });
  only('gemini models', async () => {
    const listed = await collect(await gemini.models.list());
    assert(listed.length && listed.every((m) => m.name.startsWith('models/')));
  });
  only('counts of every provider', async () => {
    if (!counted().length) skip('the recorded traffic is not present');
    for (const c of counted()) {
      assert.equal((await gemini.models.countTokens({ model: c.id, contents: 'Hello' })).totalTokens, c.count);
      const input = { converse: { messages: [{ role: 'user', content: [{ text: 'Hello' }] }] } };
      assert.equal((await bedrock.send(new CountTokensCommand({ modelId: c.id, input }))).inputTokens, c.count);
      assert.equal((await responses.responses.inputTokens.count({ model: c.id, input: 'Hello' })).input_tokens, c.count);
    }
  });
});
