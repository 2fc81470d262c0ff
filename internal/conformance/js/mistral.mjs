// The Mistral SDK against the front door of Chat Completions, as far as its own shape of it goes.
import assert from 'node:assert/strict';
import { Mistral } from '@mistralai/mistralai';
import { MistralError } from '@mistralai/mistralai/models/errors';
import { caught, collect, env, hello, onlyGateway, suite } from './harness.mjs';

const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];

suite('mistral', (test) => {
  const client = new Mistral({ apiKey: env.SB_KEY, serverURL: env.SB_MOCK, retryConfig: { strategy: 'none' } });
  for (const upstream of ['chat-only', 'messages-only']) {
    test(`text, whole and streamed, on ${upstream}`, async () => {
      onlyGateway();
      const body = { model: upstream + '/echo', messages: hello };
      assert.equal((await client.chat.complete(body)).choices[0].message.content, 'Hello');
      const chunks = await collect(await client.chat.stream(body));
      assert.equal(chunks.map((c) => c.data.choices[0]?.delta.content ?? '').join(''), 'Hello');
    });
    test(`tool round trip on ${upstream}`, async () => {
      onlyGateway();
      const body = { model: upstream + '/tools+text', messages: [...hello], tools };
      const first = (await client.chat.complete(body)).choices[0].message;
      assert.equal(first.toolCalls[0].function.name, 'weather');
      body.messages.push({ role: 'assistant', content: '', toolCalls: first.toolCalls }, { role: 'tool', toolCallId: first.toolCalls[0].id, content: 'sunny' });
      assert((await client.chat.complete(body)).choices[0].message.content);
    });
  }
  test('errors', async () => {
    onlyGateway();
    for (const [model, status] of [['chat-only/429', 429], ['chat-only/400', 400], ['no-such-model', 404]]) {
      assert.equal((await caught(client.chat.complete({ model, messages: hello }), MistralError)).statusCode, status);
    }
  });
});
