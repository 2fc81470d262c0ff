// The Anthropic SDK against recorded answers of Anthropic's API: what users do with it.
import assert from 'node:assert/strict';
import { anthropicClient, collect, env, hello, pick, suite } from './harness.mjs';
import { messagesWhole } from './read.mjs';

const has = {
  text: (c) => c.want.text && !c.want.calls.length && c.want.stop === 'end_turn',
  'one call': (c) => c.want.calls.length === 1 && Object.keys(c.want.calls[0].args).length > 0,
  'parallel calls': (c) => c.want.calls.length > 1,
  'no-argument call': (c) => c.want.calls.length === 1 && !Object.keys(c.want.calls[0].args).length,
  thinking: (c) => c.want.thinking,
  'stop sequence': (c) => c.want.stop === 'stop_sequence',
};
const whole = ['text', 'one call', 'thinking', 'stop sequence']; // the others are recorded as streams alone
const weather = { name: 'weather', input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } };

suite('anthropic', (test) => {
  const client = anthropicClient();
  const mock = anthropicClient(env.SB_MOCK);
  const body = (c, more = {}) => ({ model: c.id, max_tokens: 500, messages: hello, ...more });

  for (const [kind, wanted] of Object.entries(has)) {
    for (const stream of whole.includes(kind) ? [false, true] : [true]) {
      test(`${kind}, ${stream ? 'accumulated' : 'whole'}`, async () => {
        const c = pick('messages', stream, wanted);
        const got = stream ? await client.messages.stream(body(c)).finalMessage() : await client.messages.create(body(c));
        assert.deepEqual(messagesWhole(got), c.want);
        for (const b of got.content) assert(b.type !== 'thinking' || b.signature, 'a thought lost its signature');
      });
    }
  }
  test('text streamed, raw', async () => {
    const c = pick('messages', true, has.text);
    const events = await collect(await client.messages.create(body(c, { stream: true })));
    assert.equal(events.filter((e) => e.type === 'content_block_delta').map((e) => e.delta.text ?? '').join(''), c.want.text);
    assert.equal(events[0].type, 'message_start');
    assert.equal(events.at(-1).type, 'message_stop');
  });
  for (const stream of [false, true]) {
    test(`tool result round trip, ${stream ? 'streamed' : 'whole'}`, async () => {
      const messages = [...hello];
      const turn = async () => {
        const b = { model: 'mock/tools:2+text', max_tokens: 500, messages, tools: [weather] };
        return stream ? mock.messages.stream(b).finalMessage() : mock.messages.create(b);
      };
      const first = await turn();
      const calls = first.content.filter((b) => b.type === 'tool_use');
      assert.equal(calls.length, 2);
      messages.push({ role: 'assistant', content: first.content });
      messages.push({ role: 'user', content: calls.map((c) => ({ type: 'tool_result', tool_use_id: c.id, content: 'sunny' })) });
      assert.equal((await turn()).stop_reason, 'end_turn');
    });
  }
});
