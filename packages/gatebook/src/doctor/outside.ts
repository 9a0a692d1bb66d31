import {
  addressesOf,
  type LogExamination,
  type Progress,
  parseCosignerKey,
  parsePolicy,
  readProgress,
} from '@gatebook/audit';
import { reasonOf } from '../cli/failure.js';
import { spanMs } from '../cli/option-values.js';
import { splitWitness } from '../cli/outside-options.js';
import { counted } from '../cli/talk.js';
import type { AuditConfig } from '../config/schema.js';
import { type Check, fail, ok, warn } from './check.js';
import { readSmall } from './small-file.js';

/** So many times in a row it may go wrong without anybody having to look. */
const missedMax = 3;

/**
 * What others hold of the log, as the process that feeds them has noted it: nobody is asked. The names of witnesses are shown, their
 * URLs are not, for a URL may hold a secret.
 */
export function checkOutside(
  dir: string,
  log: LogExamination,
  audit: AuditConfig | undefined,
  nowMs: number,
): Check[] {
  const notes = notesOf(dir);
  const { names, checks } = configured(audit);
  const known = new Set(notes.filter(({ kind }) => kind === 'witness').map(({ name }) => name));
  const silent = names
    .filter((name) => !known.has(name))
    .map((name) =>
      warn(
        `witness.${name}`,
        'is configured, and has never been sent a checkpoint',
        'start a gate, or run gatebook audit cosign',
      ),
    );
  const everyMs = {
    witness: spanMs(audit?.witnessInterval ?? '60s'),
    anchor: spanMs(audit?.anchorInterval ?? '10m'),
  };
  const noted = notes.map((note) => {
    return checkNoted(note, log, nowMs - missedMax * everyMs[note.kind]);
  });
  const all = [...checks, ...silent, ...noted];
  if (all.length > 0) return all;
  return [
    warn(
      'witness',
      'nobody outside this host holds evidence of the log, so who takes log and keys can roll both back unseen',
      'set witnesses or anchor_files in [security.audit], or keep gatebook audit checkpoint elsewhere now and then',
    ),
  ];
}

function notesOf(dir: string): Progress[] {
  try {
    return readProgress(dir);
  } catch {
    return [];
  }
}

function configured(audit: AuditConfig | undefined): { names: string[]; checks: Check[] } {
  const keys: string[] = [];
  const checks: Check[] = [];
  for (const text of audit?.witnesses ?? []) keys.push(splitWitness(text).key ?? '');
  const policy = audit?.witnessPolicy;
  try {
    if (policy !== undefined) keys.push(...keysIn(policy));
  } catch (error) {
    const what = `the policy ${policy}: ${reasonOf(error)}`;
    checks.push(fail('witness.policy', what, 'mend it, or every gate refuses to start'));
  }
  const names = keys.flatMap((key) => {
    try {
      return [parseCosignerKey(key).name];
    } catch (error) {
      const what = `a configured witness has a key that is none: ${reasonOf(error)}`;
      checks.push(fail('witness.key', what, 'mend witnesses in [security.audit]'));
      return [];
    }
  });
  return { names, checks };
}

function keysIn(file: string): string[] {
  const text = readSmall(file);
  if (text === undefined) throw new Error('there is no such file');
  return addressesOf(parsePolicy(Buffer.from(text)).witnesses).map(({ key }) => key);
}

/** `lateMs`: what was confirmed before then is late. */
function checkNoted(note: Progress, log: LogExamination, lateMs: number): Check {
  const { kind, name, size, confirmed, error } = note;
  const id = `${kind}.${name}`;
  const failing = error === undefined ? '' : `; the last try failed: ${withoutUrls(error)}`;
  if (size === undefined) return warn(id, `holds nothing yet${failing}`, 'see that it is reached');
  const behind = Math.max(0, (log.checkpoint?.size ?? log.records) - size);
  const words = `${counted(behind, 'record')} behind, as of ${confirmed ?? 'an unknown time'}${failing}`;
  const late = behind > 0 && !(Date.parse(confirmed ?? '') >= lateMs);
  if (late || error !== undefined) {
    return warn(id, words, 'see that it is reached; gatebook audit cosign tries once more');
  }
  return ok(id, words);
}

function withoutUrls(text: string): string {
  return text.replace(/\b[a-z]+:\/\/\S+/gi, '(a URL)');
}
