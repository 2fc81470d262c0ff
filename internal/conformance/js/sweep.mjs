// Every recorded request sent again by the SDK of its dialect, and a request of the other SDK for every answer.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { anthropicClient, caught, cases, collect, gateway, hello, onlyGateway, openaiClient, suite } from './harness.mjs';
import * as read from './read.mjs';

const clients = { chat: openaiClient(), messages: anthropicClient() };
const paths = { chat: '/chat/completions', messages: '/v1/messages' };
const readers = { chat: [read.chatWhole, read.chatStream], messages: [read.messagesWhole, read.messagesStream] };
const errors = { chat: OpenAI.APIError, messages: Anthropic.APIError };

const send = (c, options = {}) => clients[c.dialect].post(paths[c.dialect], {
  body: { ...c.request, model: c.id }, headers: c.beta ? { 'anthropic-beta': c.beta } : {}, ...options });

suite('sweep', (test) => {
  for (const c of cases.filter((x) => x.request && x.status === 200)) {
    test(`bytes ${c.provider}-${c.id}`, async () => {
      const got = await (await send(c).asResponse()).text();
      assert.equal(got, gateway && c.usage_frame ? c.body.replace(c.usage_frame, '') : c.body);
    });
    test(`typed ${c.provider}-${c.id}`, async () => {
      const { error, ...want } = c.want;
      const run = async () => (c.stream ? readers[c.dialect][1](await collect(await send(c, { stream: true }))) : readers[c.dialect][0](await send(c)));
      if (error) {
        await caught(run(), errors[c.dialect]);
        return;
      }
      const got = await run();
      if (gateway && c.usage_frame) got.usage = want.usage;
      assert.deepEqual(got, want);
    });
  }
  for (const c of cases.filter((x) => x.request && x.status >= 400)) {
    test(`error ${c.provider}-${c.id}`, async () => {
      const e = await caught(send(c), errors[c.dialect]);
      assert.equal(e.status, gateway && [401, 403].includes(c.status) ? 502 : c.status);
    });
  }
});

const toChat = { end_turn: 'stop', stop_sequence: 'stop', max_tokens: 'length', tool_use: 'tool_calls', refusal: 'content_filter' };
const toMessages = { stop: 'end_turn', length: 'max_tokens', tool_calls: 'tool_use', function_call: 'tool_use', content_filter: 'refusal' };
const schema = { type: 'object', properties: { city: { type: 'string' } } };

function same(got, want, stops) {
  assert.equal(got.text, want.text || want.refusal); // Anthropic's API says a refusal as text
  assert.deepEqual(got.calls, want.calls);
  let stop = want.refusal ? 'refusal' : stops[want.stop];
  if (want.calls.length) stop = { stop: 'tool_calls', end_turn: 'tool_use' }[stop] ?? stop;
  if (stop) assert.equal(got.stop, stop);
}

suite('cross', (test) => {
  for (const c of cases.filter((x) => x.want && x.status === 200 && !x.want.error)) {
    test(`${c.provider}-${c.id}`, async () => {
      onlyGateway();
      if (c.dialect === 'messages') {
        const body = { model: c.id, messages: hello };
        if (c.want.calls.length) body.tools = [{ type: 'function', function: { name: 'weather', parameters: schema } }];
        const got = c.stream ? await clients.chat.chat.completions.stream(body).finalChatCompletion() : await clients.chat.chat.completions.create(body);
        same(read.chatWhole(got), c.want, toChat);
        return;
      }
      const body = { model: c.id, max_tokens: 500, messages: hello };
      if (c.want.calls.length) body.tools = [{ name: 'weather', input_schema: schema }];
      const got = c.stream ? await clients.messages.messages.stream(body).finalMessage() : await clients.messages.messages.create(body);
      same(read.messagesWhole(got), c.want, toMessages);
    });
  }
});
