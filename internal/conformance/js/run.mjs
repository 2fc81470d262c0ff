// Runs all suites, or those named, against SB_BASE and writes their results to SB_RESULTS. Exit status 1 when a case failed.
import './openai.mjs';
import './anthropic.mjs';
import './errors.mjs';
import './sweep.mjs';
import './aisdk.mjs';
import './aisdk-doors.mjs';
import './doors.mjs';
import './scenarios.mjs';
import './passing.mjs';
import './mistral.mjs';
import { runAll } from './harness.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
process.exit((await runAll(process.argv.slice(2))) ? 1 : 0);
