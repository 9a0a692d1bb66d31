import type { Actor } from '@gatebook/audit';
import { callText } from '../gate/call-text.js';
import { answeredEvent, voidedEvent } from '../gate/events.js';
import { personName } from '../gate/person.js';
import { approvalOf, type Pending, type Reach } from '../gate/state/approvals.js';
import { CliError, reasonOf } from './failure.js';
import { recorded, requireTerminal, requireUngated, type Seen, seen } from './operator.js';
import type { Places } from './places.js';
import { say } from './talk.js';
import { confirmed } from './terminal-question.js';

export interface ApproveOptions {
  readonly id: string;
  readonly approved: boolean;
  readonly reach: 'once' | 'session' | { readonly forMs: number };
}

/** `gatebook approve ID`: shows a call that waits, asks, records the answer, and gives it. */
export async function approve(places: Places, options: ApproveOptions): Promise<number> {
  const { id, approved } = options;
  requireTerminal('gatebook approve');
  const { kept, answer: found } = await seen(places, 'question', { id });
  requireUngated(found?.gates ?? [], 'gatebook approve');
  if (found === undefined) throw new CliError(1, nothingWaits(places, kept));
  const { pending } = found;
  if (pending === undefined) throw new CliError(1, gone(id));
  const question = approved
    ? `Allow it ${reachText(options.reach, pending.rules)}? [y/N] `
    : 'Deny it? [y/N] ';
  if (!(await confirmed(`${callText(pending, process.stdout.columns)}${question}`))) {
    say(`${id} is left as it is${approved ? '; --deny refuses it' : ''}`);
    return 1;
  }
  await decide(places, pending, approved, reachOf(options.reach));
  say(
    `${id} is ${approved ? `allowed ${reachText(options.reach, pending.rules)}` : 'denied'}, and recorded`,
  );
  return 0;
}

async function decide(
  places: Places,
  pending: Pending,
  approved: boolean,
  reach: Reach,
): Promise<void> {
  const { id, actor } = pending;
  const by = personName();
  const verdict = { approved, reach, by, how: 'command' };
  const answer = approvalOf(pending, verdict, Date.now());
  const frame = { actor: actorIn(actor) };
  await recorded(places, answeredEvent(pending, answer, frame), async (deciding) => {
    let reason = gone(id);
    try {
      const decided = await deciding.decide('decide', { id, approved, reach, by });
      if (decided?.approval !== undefined) return;
      if (decided === undefined) reason = 'the gate has just ended; try again';
    } catch (error) {
      reason = reasonOf(error);
    }
    // The book must not say that somebody let pass what nobody did.
    await deciding.append(voidedEvent(pending, answer, reason, frame));
    throw new CliError(1, `${id} is not decided, though your answer was recorded: ${reason}`);
  });
}

/** As `actorOf` made it. */
function actorIn(text: string): Actor {
  const members = JSON.parse(text) as readonly (string | null)[];
  const [channel, userId, agent] = members.map((member) => member ?? undefined);
  return { channel, userId, agent };
}

function reachOf(reach: ApproveOptions['reach']): Reach {
  return typeof reach === 'string' ? reach : { untilMs: Date.now() + reach.forMs };
}

function reachText(reach: ApproveOptions['reach'], rules: readonly string[]): string {
  if (reach === 'once') return 'once';
  const whatever = rules.length === 1 ? 'this rule asks' : `these ${rules.length} rules ask`;
  if (reach === 'session') return `and whatever ${whatever} of this tool in this session`;
  const until = new Date(Date.now() + reach.forMs).toISOString();
  return `and whatever ${whatever} of this tool for this actor until ${until}`;
}

function gone(id: string): string {
  return `no call waits for approval ${id}: it was answered or given up, or it is older than 10 minutes; see gatebook approve --list`;
}

export function nothingWaits({ dir }: Places, kept: Seen<'approvals'>['kept']): string {
  const why =
    kept === 'unknown' ? 'the process that held the questions was killed' : 'no gate has asked';
  return `nothing waits for an answer over the log at ${dir}: ${why}`;
}
