// Plain readers of the dialects beside Chat Completions and Messages, and what ends and counts mean: the counterpart of plain.py.
import { parsed } from './harness.mjs';

const empty = () => ({ text: '', refusal: '', thinking: '', calls: [], stop: null, usage: null });
const usage = (input, output) => ({ input: input ?? 0, output: output ?? 0 });

function responsesItem(a, item) {
  for (const p of (item.type === 'message' && item.content) || []) {
    if (p.type === 'output_text') a.text += p.text;
    if (p.type === 'refusal') a.refusal += p.refusal;
  }
  if (item.type === 'function_call') a.calls.push({ name: item.name, args: parsed(item.arguments) });
  if (item.type === 'reasoning') a.thinking += [...(item.summary ?? []), ...(item.content ?? [])].map((s) => s.text ?? '').join('');
}

export function responsesWhole(body) {
  const a = empty();
  for (const item of body.output ?? []) responsesItem(a, item);
  a.stop = (body.status === 'incomplete' && body.incomplete_details?.reason) || body.status;
  if (body.usage) a.usage = usage(body.usage.input_tokens, body.usage.output_tokens);
  return a;
}

export function responsesStream(events) {
  const a = empty();
  for (const e of events) {
    if (e.type === 'response.output_item.done') responsesItem(a, e.item);
    if (['response.completed', 'response.incomplete', 'response.failed'].includes(e.type)) {
      const last = responsesWhole(e.response);
      return { ...a, stop: last.stop, usage: last.usage };
    }
  }
  return a;
}

export function geminiStream(chunks) {
  const a = empty();
  for (const c of chunks) {
    for (const candidate of c.candidates ?? []) {
      if (candidate.index) continue;
      for (const p of candidate.content?.parts ?? []) {
        if (p.functionCall) a.calls.push({ name: p.functionCall.name, args: p.functionCall.args ?? {} });
        else a[p.thought ? 'thinking' : 'text'] += p.text ?? '';
      }
      a.stop = candidate.finishReason || a.stop;
    }
    if (c.promptFeedback?.blockReason) a.stop = 'SAFETY';
    const u = c.usageMetadata;
    if (u && 'promptTokenCount' in u) {
      a.usage = usage(u.promptTokenCount + (u.toolUsePromptTokenCount ?? 0), (u.candidatesTokenCount ?? 0) + (u.thoughtsTokenCount ?? 0));
    }
  }
  return a;
}

const converseUsage = (u) => u && usage(u.inputTokens + (u.cacheReadInputTokens ?? 0) + (u.cacheWriteInputTokens ?? 0), u.outputTokens);

export function converseWhole(body) {
  const a = empty();
  for (const b of body.output?.message?.content ?? []) {
    if (b.toolUse) a.calls.push({ name: b.toolUse.name, args: b.toolUse.input ?? {} });
    else if (b.reasoningContent) a.thinking += b.reasoningContent.reasoningText?.text ?? '';
    else if (b.citationsContent) a.text += b.citationsContent.content.map((c) => c.text ?? '').join('');
    else a.text += b.text ?? '';
  }
  a.stop = body.stopReason;
  a.usage = converseUsage(body.usage) ?? null;
  return a;
}

export function converseStream(events) {
  const a = empty();
  const calls = new Map();
  for (const e of events) {
    const start = e.contentBlockStart;
    if (start?.start?.toolUse) calls.set(start.contentBlockIndex, { name: start.start.toolUse.name, args: '' });
    const d = e.contentBlockDelta?.delta;
    a.text += d?.text ?? '';
    a.thinking += d?.reasoningContent?.text ?? '';
    if (d?.toolUse) calls.get(e.contentBlockDelta.contentBlockIndex).args += d.toolUse.input ?? '';
    if (e.messageStop) a.stop = e.messageStop.stopReason;
    if (e.metadata) a.usage = converseUsage(e.metadata.usage) ?? a.usage;
  }
  a.calls = [...calls.values()].map((c) => ({ name: c.name, args: parsed(c.args) }));
  return a;
}

// The SDK's members are in camel case; a recording's are not.
const cohereUsage = (u) => {
  const t = u?.tokens ?? u?.billedUnits;
  return t ? usage(t.inputTokens + (t.image_tokens ?? t.imageTokens ?? 0), t.outputTokens) : null;
};

export function cohereWhole(body) {
  const a = empty();
  a.text = body.message?.toolPlan ?? '';
  for (const p of body.message?.content ?? []) {
    a.text += p.text ?? '';
    a.thinking += p.thinking ?? '';
  }
  a.calls = (body.message?.toolCalls ?? []).map((c) => ({ name: c.function.name, args: parsed(c.function.arguments) }));
  a.stop = body.finishReason;
  a.usage = cohereUsage(body.usage);
  return a;
}

export function cohereStream(events) {
  const a = empty();
  const calls = new Map();
  for (const e of events) {
    const m = e.delta?.message;
    if (e.type === 'tool-plan-delta') a.text += m.toolPlan ?? '';
    if (e.type === 'content-delta') {
      a.text += m.content?.text ?? '';
      a.thinking += m.content?.thinking ?? '';
    }
    if (e.type === 'tool-call-start' || e.type === 'tool-call-delta') {
      const call = calls.get(e.index) ?? { name: '', args: '' };
      calls.set(e.index, call);
      const f = m.toolCalls?.function ?? {};
      call.name ||= f.name ?? '';
      call.args += f.arguments ?? '';
    }
    if (e.type === 'message-end') {
      a.stop = e.delta?.finishReason;
      a.usage = cohereUsage(e.delta?.usage);
    }
  }
  a.calls = [...calls.values()].map((c) => ({ name: c.name, args: parsed(c.args) }));
  return a;
}

const ends = {
  chat: { stop: 'end', length: 'length', tool_calls: 'calls', function_call: 'calls', content_filter: 'filter' },
  messages: { end_turn: 'end', stop_sequence: 'end', max_tokens: 'length', tool_use: 'calls', refusal: 'filter' },
  responses: { completed: 'end', max_output_tokens: 'length', content_filter: 'filter' },
  gemini: { STOP: 'end', MAX_TOKENS: 'length', SAFETY: 'filter', RECITATION: 'filter', PROHIBITED_CONTENT: 'filter', BLOCKLIST: 'filter', SPII: 'filter' },
  converse: { end_turn: 'end', stop_sequence: 'end', max_tokens: 'length', tool_use: 'calls', guardrail_intervened: 'filter', content_filtered: 'filter' },
  cohere: { COMPLETE: 'end', STOP_SEQUENCE: 'end', MAX_TOKENS: 'length', TOOL_CALL: 'calls', ERROR_TOXIC: 'filter' },
};

// end is how an answer ended in words that all dialects share, or null.
export function end(dialect, a) {
  if (a.refusal) return 'filter';
  const found = ends[dialect][a.stop] ?? null;
  return a.calls.length && found === 'end' ? 'calls' : found;
}

// counts are the tokens in and out, cached ones included, or null.
export const counts = (a) => a.usage && [a.usage.input + (a.usage.cached ?? 0) + (a.usage.written ?? 0), a.usage.output];

// total is the last total that a recorded answer itself says, or 0.
export function total(c) {
  const said = c.kind === 'eventstream-b64' ? [] : [...c.body.matchAll(/"total_tokens": ?(\d+)/g)];
  return said.length ? Number(said.at(-1)[1]) : 0;
}
