import { writeFileSync } from 'node:fs';
import { terminalAsker } from './terminal-asker.js';

/** Asks on its terminal, and writes what was answered into the file it is given. SIGUSR2 ends the question. */

const [file] = process.argv.slice(2);
const over = new AbortController();
process.on('SIGUSR2', () => over.abort());
const verdict = await terminalAsker()({
  id: '0123456789',
  signal: over.signal,
  decision: {
    decision: 'ask',
    risk: 'high',
    rule: 'ask tool:*',
    reasons: ['it writes'],
    asks: ['ask tool:*'],
  },
  call: {
    actor: { userId: 'ann' },
    sessionId: 'ses_1',
    name: 'exec',
    isTool: true,
    arguments: { words: ['rm', '\x1b[2J\u202e', String(process.pid)] },
    intent: { eventType: 'command_execution' },
    signal: over.signal,
  },
} as Parameters<ReturnType<typeof terminalAsker>>[0]);
writeFileSync(file!, JSON.stringify(verdict ?? null));
