// Vercel's AI SDK at the newer front doors, and by two clients of Responses: every recorded answer, checked against its schemas.
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock';
import { createCohere } from '@ai-sdk/cohere';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenResponses } from '@ai-sdk/open-responses';
import { createOpenAI } from '@ai-sdk/openai';
import { answer, same } from './aisdk.mjs';
import { all, env, onlyGateway, skip, suite } from './harness.mjs';

const key = { apiKey: env.SB_KEY };
const openai = createOpenAI({ baseURL: env.SB_BASE + '/v1', ...key });
const doors = {
  responses: (model) => openai.responses(model),
  'open-responses': createOpenResponses({ name: 'gateway', url: env.SB_BASE + '/v1/responses', ...key }),
  gemini: createGoogleGenerativeAI({ baseURL: env.SB_BASE + '/v1beta', ...key }),
  cohere: createCohere({ baseURL: env.SB_BASE + '/v2', ...key }),
  converse: createAmazonBedrock({ baseURL: env.SB_BASE, region: 'us-east-1', ...key }),
};

suite('ai-sdk-doors', (test) => {
  for (const [name, model] of Object.entries(doors)) {
    const dialect = name === 'open-responses' ? 'responses' : name;
    for (const c of all.filter((x) => x.want && x.status === 200 && !x.want.error)) {
      test(`${name} on ${c.dialect} ${c.provider}-${c.id}`, async () => {
        if (dialect !== c.dialect) onlyGateway();
        if (c.array && dialect === 'gemini') skip('this client reads events alone, and asks for them');
        const own = dialect === c.dialect ? '' : c.want.refusal;
        same(await answer(model(c.id), c.stream), { ...c.want, refusal: own });
      });
    }
  }
});
