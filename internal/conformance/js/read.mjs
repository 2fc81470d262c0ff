// Plain readers of typed answers, the counterpart of records.py: what an answer says, without any SDK's help.
import { parsed } from './harness.mjs';

const text = (content) => {
  if (typeof content === 'string') return content;
  if (content && !Array.isArray(content)) return JSON.stringify(content);
  return (content ?? []).filter((p) => p.type === 'text').map((p) => p.text ?? '').join('');
};

const empty = () => ({ text: '', refusal: '', thinking: '', calls: [], stop: null, usage: null });
const chatUsage = (u) => (u ? { input: u.prompt_tokens ?? 0, output: u.completion_tokens ?? 0 } : null);

export function chatWhole(body) {
  const a = empty();
  const choice = body.choices?.[0] ?? {};
  const m = choice.message ?? {};
  a.text = text(m.content);
  a.refusal = m.refusal || '';
  a.thinking = m.reasoning_content || m.reasoning || '';
  const calls = m.tool_calls?.length ? m.tool_calls : m.function_call?.name ? [{ function: m.function_call }] : [];
  a.calls = calls.map((c) => ({ name: c.function?.name ?? null, args: parsed(c.function?.arguments) }));
  a.stop = choice.finish_reason ?? null;
  a.usage = chatUsage(body.usage);
  return a;
}

export function chatStream(chunks) {
  const a = empty();
  const calls = new Map();
  for (const c of chunks) {
    a.usage = chatUsage(c.usage) ?? a.usage;
    for (const choice of c.choices ?? []) {
      if (choice.index) continue;
      const d = choice.delta ?? {};
      a.text += text(d.content);
      a.refusal += d.refusal || '';
      a.thinking += d.reasoning_content || d.reasoning || '';
      for (const t of d.tool_calls ?? []) {
        const key = t.index ?? (t.id ? calls.size : Math.max(calls.size - 1, 0));
        if (!calls.has(key)) calls.set(key, { name: '', args: '' });
        const call = calls.get(key);
        call.name ||= t.function?.name ?? '';
        call.args += t.function?.arguments ?? '';
      }
      a.stop = choice.finish_reason || a.stop;
    }
  }
  a.calls = [...calls].sort((x, y) => x[0] - y[0]).map(([, c]) => ({ name: c.name, args: parsed(c.args) }));
  return a;
}

const messagesUsage = (u) => (u && Object.keys(u).length ? {
  input: u.input_tokens ?? 0, output: u.output_tokens ?? 0,
  cached: u.cache_read_input_tokens ?? 0, written: u.cache_creation_input_tokens ?? 0,
} : null);

export function messagesWhole(body) {
  const a = empty();
  for (const b of body.content ?? []) {
    if (b.type === 'text') a.text += b.text ?? '';
    if (b.type === 'thinking') a.thinking += b.thinking ?? '';
    if (b.type === 'tool_use') a.calls.push({ name: b.name, args: b.input ?? {} });
  }
  a.stop = body.stop_reason ?? null;
  a.usage = messagesUsage(body.usage);
  return a;
}

export function messagesStream(events) {
  const a = empty();
  const calls = new Map();
  let usage = {};
  for (const e of events) {
    if (e.type === 'message_start') usage = { ...e.message.usage };
    if (e.type === 'content_block_start') {
      if (e.content_block.type === 'tool_use') calls.set(e.index, { name: e.content_block.name, args: '', whole: e.content_block.input });
      else a.text += e.content_block.text ?? '';
    }
    if (e.type === 'content_block_delta') {
      a.text += e.delta.text ?? '';
      a.thinking += e.delta.thinking ?? '';
      if (calls.has(e.index)) calls.get(e.index).args += e.delta.partial_json ?? '';
    }
    if (e.type === 'message_delta') {
      a.stop = e.delta.stop_reason || a.stop;
      for (const [k, v] of Object.entries(e.usage ?? {})) if (v !== null) usage[k] = v;
    }
  }
  a.calls = [...calls.values()].map((c) => ({ name: c.name, args: parsed(c.args || c.whole) }));
  a.usage = messagesUsage(usage);
  return a;
}
