import {
  AuditError,
  allOf,
  anchorTime,
  type Brought,
  fetchCosigned,
  findCosignature,
  parseCertificates,
  parseCosignerKey,
  parseNote,
  parseVerifierKey,
  readAnchors,
  type TlogPolicy,
} from '@gatebook/audit';
import { reasonOf, usageError } from './failure.js';
import { readNamedFile } from './log-folder.js';
import { splitWitness } from './outside-options.js';

const timeoutMs = 10_000;

/** What asking the witnesses gave: notes to hold against the log, and what could not be had. */
export interface Asked {
  readonly held: readonly Brought[];
  readonly problems: readonly string[];
  /** When witnesses were named with their keys and no policy was brought: all of them. */
  readonly policy: TlogPolicy | undefined;
}

/**
 * Fetches the latest cosigned checkpoint of the log from each witness (`URL` or `URL=KEY`). What is not signed by the
 * log, or not by the witness whose key was named, is the witness's fault and says nothing about the log.
 */
export async function askWitnesses(
  witnesses: readonly string[],
  publicKeys: readonly string[],
): Promise<Asked> {
  const held: Brought[] = [];
  const problems: string[] = [];
  const parsed = witnesses.map((text) => {
    const { url, key } = splitWitness(text);
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw usageError(`--witness ${url} is no http or https URL`);
    }
    return { url, key: key === undefined ? undefined : parseKey(key) };
  });
  const logKeys = publicKeys.map(parseVerifierKey);
  await Promise.all(
    parsed.map(async ({ url, key }) => {
      const name = `the witness ${key?.name ?? new URL(url).host}`;
      try {
        const [first] = logKeys;
        if (first === undefined) throw new Error('without a public key it is not known which log');
        const note = await fetchCosigned(
          { url, signal: AbortSignal.timeout(timeoutMs) },
          first.name,
        );
        const read = parseNote(Buffer.from(note));
        if (key !== undefined && typeof findCosignature(read, key) === 'string') {
          throw new Error('its checkpoint does not carry its cosignature');
        }
        held.push({ name, note, ifSigned: true });
      } catch (error) {
        problems.push(`${name} could not be asked: ${reasonOf(error)}`);
      }
    }),
  );
  const keys = parsed.map(({ key }) => key).filter((key) => key !== undefined);
  return { held, problems, policy: keys.length === 0 ? undefined : allOf(keys) };
}

function parseKey(text: string): ReturnType<typeof parseCosignerKey> {
  try {
    return parseCosignerKey(text);
  } catch (error) {
    throw usageError(`--witness: ${reasonOf(error)}`, error);
  }
}

/** What anchor files hold. A time stamp that does not hold under the roots brought is a problem, not a time. */
export async function heldByAnchors(
  files: readonly string[],
  tsaCert: string | undefined,
): Promise<{ readonly held: readonly Brought[]; readonly problems: readonly string[] }> {
  const roots = tsaCert === undefined ? [] : await readRoots(tsaCert);
  const held: Brought[] = [];
  const problems: string[] = [];
  for (const file of files) {
    for (const entry of entriesOf(file)) {
      const name = `the anchor ${file} of ${entry.anchoredAt}`;
      try {
        held.push({ name, note: entry.checkpoint, seenMs: await anchorTime(entry, roots) });
      } catch (error) {
        if (!(error instanceof AuditError)) throw error;
        held.push({ name, note: entry.checkpoint });
        problems.push(`${name}: ${error.message}`);
      }
    }
  }
  return { held, problems };
}

function entriesOf(file: string): ReturnType<typeof readAnchors> {
  try {
    return readAnchors(file);
  } catch (error) {
    throw usageError(`--anchor ${reasonOf(error)}`, error);
  }
}

async function readRoots(file: string): Promise<ReturnType<typeof parseCertificates>> {
  const pem = await readNamedFile('--tsa-cert', file);
  try {
    return parseCertificates(pem);
  } catch (error) {
    throw usageError(`--tsa-cert ${file}: ${reasonOf(error)}`, error);
  }
}
