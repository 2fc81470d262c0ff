// What the suites share: the environment, the cases, and results as JSON lines for the table.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';

export const env = process.env;
export const gateway = env.SB_WAY === 'gateway';
export const all = env.SB_CASES ? JSON.parse(fs.readFileSync(env.SB_CASES, 'utf8')) : [];
export const cases = all.filter((c) => ['chat', 'messages'].includes(c.dialect));
export const hello = [{ role: 'user', content: 'Hello' }];

export const openaiClient = (base = env.SB_BASE, apiKey = env.SB_KEY) =>
  new OpenAI({ baseURL: base + '/v1', apiKey, maxRetries: 0, timeout: 30_000 });
export const anthropicClient = (base = env.SB_BASE, apiKey = env.SB_KEY) =>
  new Anthropic({ baseURL: base, apiKey, maxRetries: 0, timeout: 30_000 });

class Skip extends Error {}

export function skip(why) {
  throw new Skip(why);
}

// onlyGateway ends a case that has no straight counterpart: translation and answers of the gateway's own.
export function onlyGateway() {
  if (!gateway) throw new Skip('only the gateway can do this');
}

// pick returns the first recorded case of a dialect that has what a scenario needs. Unless any provider will
// do, it is one of the API's own.
const own = { chat: ['openai', 'azure'], messages: ['anthropic'] };
export function pick(dialect, stream, has, any = false) {
  const found = cases.find((c) => c.dialect === dialect && c.stream === stream && c.want && c.request &&
    (any || own[dialect].includes(c.provider)) && has(c));
  if (!found) throw new Skip('no recorded case, or the recorded traffic is not present');
  return found;
}

export async function collect(stream) {
  const list = [];
  for await (const item of stream) list.push(item);
  return list;
}

// caught returns the error of a promise that must fail.
export async function caught(promise, kind) {
  let error;
  try {
    await promise;
  } catch (e) {
    error = e;
  }
  assert(error, 'no error was raised');
  assert(error instanceof kind, `raised ${error.constructor.name}: ${error.message}, not ${kind.name}`);
  return error;
}

export const parsed = (text) => {
  if (typeof text !== 'string') return text ?? {};
  try {
    return (text.trim() ? JSON.parse(text) : null) ?? {};
  } catch {
    return text;
  }
};

const suites = [];

// suite registers cases: test(name, async function).
export function suite(name, define) {
  const tests = [];
  define((test, run) => tests.push([test, run]));
  suites.push([name, tests]);
}

export async function runAll(only = []) {
  const out = fs.createWriteStream(env.SB_RESULTS, { flags: 'a' });
  let failed = 0;
  for (const [name, tests] of suites.filter(([name]) => !only.length || only.includes(name))) {
    for (const [test, run] of tests) {
      const line = { suite: 'js/' + name, case: test, result: 'passed' };
      try {
        await run();
      } catch (e) {
        line.result = e instanceof Skip ? 'skipped' : 'failed';
        line.why = String(e?.message ?? e).slice(0, 600);
        if (line.result === 'failed') {
          failed++;
          console.log(`${name} ${test}: ${e?.stack ?? e}`);
        }
      }
      out.write(JSON.stringify(line) + '\n');
    }
  }
  await new Promise((done) => out.end(done));
  return failed;
}
