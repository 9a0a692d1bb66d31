import { join } from 'node:path';
import {
  AuditError,
  type LogStatus,
  logStatus,
  type PassphraseSource,
  type PreviousLog,
  readPreviousLog,
  type SigningSource,
  setUpLog,
} from '@gatebook/audit';
import { openLog } from '../open-log.js';
import { writeStdout } from './destination.js';
import { readIfThere } from './log-folder.js';
import type { Places } from './places.js';
import { say, warnForwardSecurity } from './talk.js';
import { visible } from './visible.js';

/** How a new log is to begin, where it is not as usual. */
export interface Choices {
  /** A log whose signing key is lost. */
  readonly after?: string | undefined;
  readonly source?: SigningSource;
  readonly passphrase?: PassphraseSource;
}

/** `gatebook init`: sets up folders and keys, or says what is already there without touching it. */
export async function init(places: Places, choices: Choices): Promise<number> {
  const chosen = Object.values(choices).some((value) => value !== undefined);
  const existing = chosen ? undefined : await existingLog(places);
  if (existing !== undefined) {
    await writeStdout(factsText('already there', places, existing));
    warnForwardSecurity(existing.forwardSecurity);
    return 0;
  }
  if (chosen) {
    const { after, ...keys } = choices;
    const previous = after === undefined ? undefined : await previousLog(after);
    setUpLog({ ...places, ...keys, previous });
  }
  // Also finishes a set-up that was interrupted, and refuses folders that do not belong together.
  const log = await openLog({ dir: places.dir, keysDir: places.keysDir });
  const facts = { origin: log.origin, publicKey: log.publicKey };
  await log.close();
  await writeStdout(factsText('made', places, facts));
  warnForwardSecurity(log.forwardSecurity);
  return 0;
}

/** What `init` would find or make; nothing is made. */
export async function describeLog(places: Places): Promise<number> {
  const existing = await existingLog(places);
  const facts =
    existing === undefined
      ? placesText('would be made', places)
      : factsText('already there', places, existing);
  await writeStdout(facts);
  return 0;
}

/** Where the old log ends; what it lacks is said, for nobody can mend it any more. */
async function previousLog(dir: string): Promise<PreviousLog> {
  const previous = await readPreviousLog(dir);
  if (previous.verdict !== 'ok')
    say(`${dir} does not verify (${previous.verdict}); what its checkpoint proves is named`);
  return previous;
}

/** The log in these places, when its folder and its keys are of the same log. */
async function existingLog(places: Places): Promise<LogStatus | undefined> {
  const origin = (await readIfThere(join(places.keysDir, 'origin')))?.trim();
  if (origin === undefined) return undefined;
  try {
    const status = await logStatus({ dir: places.dir, keysDir: places.keysDir });
    return status.origin === origin ? status : undefined;
  } catch (error) {
    if (error instanceof AuditError && error.code === 'not_found') return undefined;
    throw error;
  }
}

function factsText(
  state: string,
  places: Places,
  facts: { readonly origin: string; readonly publicKey: string },
): string {
  return [
    placesText(state, places),
    `origin      ${visible(facts.origin)}\n`,
    `public key  ${visible(facts.publicKey)}\n`,
  ].join('');
}

function placesText(state: string, { dir, keysDir }: Places): string {
  return `log         ${visible(dir)} (${state})\nkeys        ${visible(keysDir)}\n`;
}
