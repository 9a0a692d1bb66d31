/** Writes docs/config.md from the schema; run it after `npm run build` when a test says that the page is stale. */
import * as fs from 'node:fs';
import { manual } from '../packages/gatebook/dist/config/manual.js';

fs.writeFileSync(new URL('../docs/config.md', import.meta.url), manual());
