// What passes without translation: images, audio, files, batches, and a realtime session by a WebSocket.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import OpenAI, { toFile } from 'openai';
import WebSocket from 'ws';
import { caught, collect, env, gateway, onlyGateway, suite } from './harness.mjs';

const model = gateway ? 'media/any' : 'any';
const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, i) => i & 255));
const hash = createHash('sha256').update(bytes).digest('hex');

suite('passing', (test) => {
  const client = new OpenAI({ baseURL: env.SB_FAKE + '/v1', apiKey: env.SB_KEY, maxRetries: 0, timeout: 30_000, defaultHeaders: { 'x-signalbox-provider': 'fake' } });
  test('moderation', async () => {
    assert.deepEqual((await client.moderations.create({ model, input: ['good', 'bad'] })).results.map((r) => r.flagged), [false, true]);
  });
  test('images', async () => {
    assert.equal((await client.images.generate({ model, prompt: 'a dot', n: 2 })).data.length, 2);
    const edited = await client.images.edit({ model, prompt: 'more', image: await toFile(bytes, 'dot.png', { type: 'image/png' }) });
    assert.equal(edited.data[0].revised_prompt, 'more ' + hash);
  });
  test('audio', async () => {
    const said = Buffer.from(await (await client.audio.speech.create({ model, voice: 'alloy', input: 'Say it' })).arrayBuffer());
    assert(said.length > 100_000 && said.subarray(0, 9).toString() === 'Say itID3');
    assert.equal((await client.audio.transcriptions.create({ model, file: await toFile(bytes, 'talk.mp3') })).text, `any talk.mp3 ${hash}`);
  });
  test('files and batches', async () => {
    const file = await client.files.create({ file: await toFile(Buffer.from('{}\n'), 'in.jsonl'), purpose: 'batch' });
    assert(!gateway || file.id.endsWith('~fake'));
    assert.equal(await (await client.files.content(file.id)).text(), '{}\n');
    const batch = await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
    assert.equal(batch.input_file_id, file.id);
    assert((await collect(client.batches.list())).some((b) => b.id === batch.id));
    assert.equal((await client.batches.cancel(batch.id)).status, 'cancelling');
    assert((await client.files.delete(file.id)).deleted);
    await caught(client.files.retrieve(file.id), OpenAI.NotFoundError);
  });
  test('realtime session', async () => {
    const ws = new WebSocket(`${env.SB_FAKE.replace('http', 'ws')}/v1/realtime?model=${model}`, { headers: { authorization: 'Bearer ' + env.SB_KEY } });
    const seen = [];
    await new Promise((done, fail) => {
      const late = setTimeout(() => fail(new Error('no end after 10 s: ' + JSON.stringify(seen))), 10_000);
      ws.on('error', fail);
      ws.on('message', (data) => {
        const e = JSON.parse(data);
        seen.push(e);
        if (e.type === 'session.created') ws.send(JSON.stringify({ type: 'session.update', session: { instructions: 'x'.repeat(70_000) } }));
        if (e.type === 'seen') ws.send(JSON.stringify({ type: 'response.create' }));
        if (e.type === 'response.done') ws.close();
      });
      ws.on('close', () => {
        clearTimeout(late);
        done();
      });
    });
    assert.deepEqual(seen.map((e) => e.type), ['session.created', 'seen', 'response.output_text.delta', 'response.output_text.delta', 'response.done']);
    assert.equal(seen[0].session.model, 'any');
    assert.equal(seen[1].event.session.instructions.length, 70_000);
    assert.equal(seen[4].response.usage.total_tokens, 5);
  });
  test('realtime with a wrong key', async () => {
    onlyGateway();
    const ws = new WebSocket(`${env.SB_FAKE.replace('http', 'ws')}/v1/realtime?model=${model}`, { headers: { authorization: 'Bearer wrong-key-0123456789' } });
    const status = await new Promise((done) => {
      ws.on('unexpected-response', (_, res) => done(res.statusCode));
      ws.on('error', done);
      ws.on('open', () => done('open'));
    });
    assert.equal(status, 401);
  });
});
