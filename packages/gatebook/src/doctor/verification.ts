import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { LogExamination } from '@gatebook/audit';
import type { Places } from '../cli/places.js';
import { count, counted } from '../cli/talk.js';
import { ownProgram } from '../setup/launcher.js';
import { type Check, fail, ok, warn } from './check.js';

/** What is verified without being asked to; it takes a second or two. */
const bytesMax = 32 * 1024 ** 2;
/** Archives hold many times their size. */
const archivedBytesMax = 2 * 1024 ** 2;
const patienceMs = 30_000;

/**
 * Verifies a log of moderate size whole, as `gatebook audit verify` does: in a process of its own, so that whatever it meets in the
 * folder, it can be ended.
 */
export async function checkVerification(places: Places, log: LogExamination): Promise<Check> {
  const id = 'log.verify';
  const most = log.archives > 0 ? archivedBytesMax : bytesMax;
  if (log.bytes > most) {
    const size = `${counted(log.bytes, 'byte')} in ${counted(log.segments, 'segment')}`;
    return ok(
      id,
      `not verified here, for it takes a while: ${size}; gatebook audit verify does it`,
    );
  }
  const lacking = ['public-key', 'head'].find((name) => !isFile(join(places.keysDir, name)));
  if (lacking !== undefined) {
    return warn(
      id,
      `it was not verified: ${lacking} is not in the keys folder`,
      'see the keys above',
    );
  }
  const report = await verified(places);
  const todo = 'run gatebook audit verify';
  if (report === undefined) {
    return warn(id, `it was not verified within ${patienceMs / 1000} s`, todo);
  }
  const { verdict, size, findings } = report;
  const [first] = findings;
  const why = first === undefined ? '' : `: ${first}`;
  if (verdict === 'ok') return ok(id, `ok up to size ${count(size)}, by the public key`);
  if (verdict === 'unverifiable') return warn(id, `it cannot be verified${why}`, todo);
  return fail(id, `${verdict}${why}`, `${todo}, and keep the folder as it is until you know more`);
}

function isFile(path: string): boolean {
  return fs.statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

interface Report {
  readonly verdict: string;
  readonly size: number;
  readonly findings: readonly string[];
}

/** Undefined where no report came in time. */
function verified({ dir, keysDir }: Places): Promise<Report | undefined> {
  const args = [ownProgram(), 'audit', 'verify', '--json', '--log', dir, '--keys', keysDir];
  const limits = { timeout: patienceMs, killSignal: 'SIGKILL', maxBuffer: 16 * 1024 ** 2 } as const;
  return new Promise((done) => {
    execFile(process.execPath, args, limits, (_error, stdout) => done(parse(stdout)));
  });
}

function parse(stdout: string): Report | undefined {
  try {
    const {
      verdict,
      size,
      findings = [],
    } = JSON.parse(stdout) as {
      verdict: string;
      size: number;
      findings?: readonly { readonly reason: string }[];
    };
    return { verdict, size: size ?? 0, findings: findings.map(({ reason }) => reason) };
  } catch {
    return undefined;
  }
}
