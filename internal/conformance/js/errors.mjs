// Errors become the SDKs' own classes, and what ends badly in mid-stream is raised, never swallowed.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { anthropicClient, caught, collect, env, gateway, hello, onlyGateway, openaiClient, suite } from './harness.mjs';

const sdks = {
  openai: { SDK: OpenAI, make: openaiClient, path: '/chat/completions', other: 'messages-only',
    ask: (c, model, more) => c.chat.completions.create({ model, messages: hello, ...more }),
    text: (e) => e.choices[0]?.delta.content },
  anthropic: { SDK: Anthropic, make: anthropicClient, path: '/v1/messages', other: 'chat-only',
    ask: (c, model, more) => c.messages.create({ model, max_tokens: 1000, messages: hello, ...more }),
    text: (e) => (e.type === 'content_block_delta' ? e.delta.text : undefined) },
};
const classes = { 400: 'BadRequestError', 404: 'NotFoundError', 429: 'RateLimitError', 500: 'InternalServerError',
  503: 'InternalServerError', 529: 'InternalServerError' };

// texts collects a stream's texts into got until it ends or fails.
async function texts(s, promise, got) {
  for await (const e of await promise) if (s.text(e)) got.push(s.text(e));
}

for (const [name, s] of Object.entries(sdks)) {
  suite('errors', (test) => {
    const client = s.make(env.SB_MOCK);
    const doors = { same: 'mock', translated: s.other };
    for (const [door, route] of Object.entries(doors)) {
      const enter = () => door === 'translated' && onlyGateway();
      for (const [status, kind] of Object.entries(classes)) {
        for (const stream of [false, true]) {
          test(`${name} ${status} ${door} ${stream ? 'streamed' : 'whole'}`, async () => {
            enter();
            const e = await caught(s.ask(client, `${route}/${status}`, { stream }), s.SDK[kind]);
            assert(e.error, 'the body is not understood');
          });
        }
      }
      test(`${name} error in mid-stream ${door}`, async () => {
        enter();
        const got = [];
        await caught(texts(s, s.ask(client, route + '/error-after:3', { stream: true }), got), s.SDK.APIError);
        assert.equal(got.length, 3);
      });
      test(`${name} cut stream ${door}`, async () => {
        enter();
        const got = [];
        await caught(texts(s, s.ask(client, route + '/cut:3', { stream: true }), got), Error);
        assert(got.length <= 3);
      });
    }
    test(`${name} wrong key`, async () => {
      onlyGateway();
      const e = await caught(s.ask(s.make(env.SB_MOCK, 'wrong-key-0123456789'), 'mock/text'), s.SDK.AuthenticationError);
      assert(!e.message.includes('wrong-key'));
    });
    test(`${name} unknown model`, async () => {
      onlyGateway();
      assert.match((await caught(s.ask(client, 'no-such-model'), s.SDK.NotFoundError)).message, /no-such-model/);
    });
    test(`${name} body too large`, async () => {
      onlyGateway();
      const big = s.ask(client, 'mock/text', { messages: [{ role: 'user', content: 'x'.repeat(21 << 20) }] });
      assert.equal((await caught(big, s.SDK.APIError)).status, 413);
    });
    test(`${name} bad request names the member`, async () => {
      const e = await caught(s.ask(client, 'mock/text', { messages: 'Hello' }), s.SDK.BadRequestError);
      assert.match(e.message, /messages/);
    });
    for (const stream of [false, true]) {
      test(`${name} deadline ${stream ? 'streamed' : 'whole'}`, async () => {
        onlyGateway();
        const run = async () => (stream ? collect(await s.ask(client, 'hasty/slow:3s+echo', { stream })) : s.ask(client, 'hasty/slow:3s+echo'));
        assert([503, 504, 529].includes((await caught(run(), s.SDK.APIError)).status));
      });
    }
    test(`${name} first-token failover`, async () => {
      onlyGateway();
      const { data, response } = await s.ask(client, `moves-on-js-${name}`, { stream: true }).withResponse();
      assert.equal((await collect(data)).map((e) => s.text(e) ?? '').join(''), 'Hello');
      assert.equal(response.headers.get('x-signalbox-attempts'), '3');
    });
    test(`${name} client cancels in mid-stream`, async () => {
      const words = name === 'openai' ? 995 : 996;
      const stream = await s.ask(client, `mock/pace:20ms+tokens:${words}`, { stream: true });
      let n = 0;
      for await (const e of stream) if (s.text(e) && ++n === 3) break;
      stream.controller.abort();
      let aborted = false;
      for (let i = 0; i < 200 && !aborted; i++) {
        const { requests } = await (await fetch(env.SB_JOURNAL + '/__mock/requests')).json();
        aborted = requests.filter((r) => r.body.includes(`tokens:${words}`)).at(-1)?.aborted;
        if (!aborted) await new Promise((r) => setTimeout(r, 50));
      }
      assert(aborted, 'the upstream still sends');
    });
    test(`${name} models`, async () => {
      const listed = (await collect(client.models.list())).map((m) => m.id).filter((id) => !id.includes('*'));
      assert(listed.length);
      assert.equal((await client.models.retrieve(listed[0])).id, listed[0]);
      if (gateway) await caught(client.models.retrieve('no-such-model'), s.SDK.NotFoundError); // the mock knows every name
    });
  });
}
