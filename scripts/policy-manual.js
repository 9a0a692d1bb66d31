/** Writes the rules into docs/policy.md; run it after `npm run build` when a test says that the page is stale. */
import * as fs from 'node:fs';
import { ruleManual } from '../packages/policy/dist/rules.js';

const page = new URL('../docs/policy.md', import.meta.url);
const [before] = fs.readFileSync(page, 'utf8').split('<!-- rules -->');
fs.writeFileSync(page, `${before}<!-- rules -->\n\n${ruleManual()}`);
