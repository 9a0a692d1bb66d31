/**
 * Checks many logs in one process: for each pair of folders it verifies what lies there, opens the log, appends one event,
 * closes it and verifies again. It is what a machine does after it lost power, many times a second.
 *
 *   node examples/dist/check-logs.js
 *
 * On stdin one JSON object a line, {id, log, keys, open}; on stdout one a line, {id, before, opened?, error?, after?, contents?}.
 * `before` and `after` have a verdict and the first finding at each level, and the number of records and of bytes of an
 * unfinished write; a level whose key is not in the keys folder is verified without it. `error` is why the log
 * could not be opened, appended to or closed. `contents` counts the kept content behind the records by what became of it. With `open`
 * false only `before` is made.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  AuditError,
  checkContents,
  type Level,
  openAuditLog,
  type VerifyReport,
  verifyLog,
} from '@gatebook/audit';

interface Task {
  readonly id: number;
  readonly log: string;
  readonly keys: string;
  readonly open: boolean;
}

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

async function verifyAt(task: Task, level: Level): Promise<object> {
  const publicKey = readIfThere(join(task.keys, 'public-key'));
  const hmacKey = readIfThere(join(task.keys, 'initial-hmac-key'));
  const head = readIfThere(join(task.keys, 'head'));
  const withKeys = existsSync(join(task.keys, 'origin'));
  const report: VerifyReport = await verifyLog({
    dir: task.log,
    level,
    publicKeys: publicKey === undefined ? [] : [publicKey],
    hmacKey: level === 'auditor' ? hmacKey : undefined,
    head: withKeys && level === 'auditor' ? head : undefined,
    threads: 1,
  });
  return {
    verdict: report.verdict,
    reason: report.findings[0]?.reason,
    records: report.records,
    size: report.size,
    pending: report.pending,
    unfinishedBytes: report.unfinishedBytes,
  };
}

/** What was brought may itself be unusable, such as a public key of no bytes: that is a verdict here too. */
async function verifyOrSay(task: Task, level: Level): Promise<object> {
  try {
    return await verifyAt(task, level);
  } catch (error) {
    return { verdict: 'unusable', reason: sayWhy(error) };
  }
}

function sayWhy(error: unknown): string {
  if (error instanceof AuditError) return `${error.code}: ${error.message}`;
  return String(error);
}

async function check(task: Task): Promise<object> {
  const before = {
    public: await verifyOrSay(task, 'public'),
    auditor: await verifyOrSay(task, 'auditor'),
  };
  if (!task.open) return { id: task.id, before };
  let opened: object | undefined;
  try {
    const log = await openAuditLog({ dir: task.log, keysDir: task.keys });
    try {
      const { seq, eventId } = await log.append({ eventType: 'example.after_crash' });
      opened = { origin: log.origin, publicKey: log.publicKey, seq, eventId };
    } finally {
      await log.close();
    }
  } catch (error) {
    return { id: task.id, before, opened, error: sayWhy(error) };
  }
  const after = {
    public: await verifyOrSay(task, 'public'),
    auditor: await verifyOrSay(task, 'auditor'),
  };
  const answered = { id: task.id, before, opened, after };
  try {
    const { members } = await checkContents({ dir: task.log, keysDir: task.keys });
    return { ...answered, contents: members };
  } catch (error) {
    return { ...answered, error: sayWhy(error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await check(JSON.parse(line) as Task);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
