// The OpenAI SDK against recorded answers of OpenAI's API: what users do with it.
import assert from 'node:assert/strict';
import { collect, env, hello, openaiClient, parsed, pick, suite } from './harness.mjs';

const plain = (c) => c.want.text && !c.want.calls.length && c.want.stop === 'stop';
const has = {
  one: (c) => c.want.stop === 'tool_calls' && c.want.calls.length === 1 && Object.keys(c.want.calls[0].args).length > 0,
  parallel: (c) => c.want.stop === 'tool_calls' && c.want.calls.length > 1,
  'no arguments': (c) => c.want.stop === 'tool_calls' && c.want.calls.length === 1 && !Object.keys(c.want.calls[0].args).length,
};
const callsOf = (m) => (m.tool_calls ?? []).map((c) => ({ name: c.function.name, args: parsed(c.function.arguments) }));
const weather = { type: 'function', function: { name: 'weather', parameters: {
  type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } } };

suite('openai', (test) => {
  const client = openaiClient();
  const mock = openaiClient(env.SB_MOCK);
  const create = (c, more = {}) => client.chat.completions.create({ model: c.id, messages: hello, ...more });
  const helper = (c) => client.chat.completions.stream({ model: c.id, messages: hello }).finalChatCompletion();

  test('text whole', async () => {
    const c = pick('chat', false, plain);
    const got = await create(c);
    assert.equal(got.choices[0].message.content, c.want.text);
    assert.equal(got.choices[0].finish_reason, 'stop');
    assert.deepEqual({ input: got.usage.prompt_tokens, output: got.usage.completion_tokens }, c.want.usage);
  });
  test('text streamed, raw', async () => {
    const c = pick('chat', true, plain);
    const chunks = await collect(await create(c, { stream: true }));
    assert.equal(chunks.map((x) => x.choices[0]?.delta.content ?? '').join(''), c.want.text);
  });
  test('text streamed, accumulated', async () => {
    const c = pick('chat', true, plain);
    const got = await helper(c);
    assert.equal(got.choices[0].message.content, c.want.text);
    assert.equal(got.choices[0].finish_reason, 'stop');
  });
  for (const [kind, wanted] of Object.entries(has)) {
    for (const stream of [false, true]) {
      test(`${kind} call, ${stream ? 'streamed' : 'whole'}`, async () => {
        const c = pick('chat', stream, wanted, kind !== 'one');
        const got = stream ? await helper(c) : await create(c, { tools: [weather] });
        assert.deepEqual(callsOf(got.choices[0].message), c.want.calls);
        assert.equal(got.choices[0].finish_reason, 'tool_calls');
      });
    }
  }
  for (const stream of [false, true]) {
    test(`tool result round trip, ${stream ? 'streamed' : 'whole'}`, async () => {
      const messages = [...hello];
      const turn = async () => {
        const body = { model: 'mock/tools:2+text', messages, tools: [weather] };
        const got = stream ? await mock.chat.completions.stream(body).finalChatCompletion() : await mock.chat.completions.create(body);
        return got.choices[0];
      };
      const first = await turn();
      assert.equal(first.message.tool_calls.length, 2);
      messages.push(first.message);
      for (const c of first.message.tool_calls) messages.push({ role: 'tool', tool_call_id: c.id, content: 'sunny' });
      const second = await turn();
      assert.equal(second.finish_reason, 'stop');
      assert(second.message.content);
    });
    test(`length, ${stream ? 'streamed' : 'whole'}`, async () => {
      const c = pick('chat', stream, (x) => x.want.stop === 'length');
      const got = stream ? await collect(await create(c, { stream })) : [await create(c)];
      assert.deepEqual(got.map((x) => x.choices[0]?.finish_reason).filter(Boolean), ['length']);
    });
  }
  test('usage in a stream only when asked', async () => {
    const chunks = async (more) => collect(await mock.chat.completions.create({ model: 'mock/tokens:5', messages: hello, stream: true, ...more }));
    assert((await chunks({})).every((c) => !c.usage && c.choices.length));
    const asked = await chunks({ stream_options: { include_usage: true } });
    assert.deepEqual(asked.filter((c) => c.usage).map((c) => c.usage.completion_tokens), [5]);
  });
  test('thinking', async () => {
    const c = pick('chat', false, (x) => x.want.thinking, true);
    const m = (await create(c)).choices[0].message;
    assert.equal(m.reasoning_content || m.reasoning, c.want.thinking);
  });
});
