// Runs all suites against SB_BASE and writes their results to SB_RESULTS. Exit status 1 when a case failed.
import './openai.mjs';
import './anthropic.mjs';
import './errors.mjs';
import './sweep.mjs';
import './aisdk.mjs';
import { runAll } from './harness.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
process.exit((await runAll()) ? 1 : 0);
