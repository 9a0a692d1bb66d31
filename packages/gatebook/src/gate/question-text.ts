import { visible } from '../cli/visible.js';
import { askedRules } from './asked-rules.js';
import type { Asked } from './asker.js';
import { nameOf, shownArguments } from './call.js';

/** Of the arguments, so many characters are shown; the text says when they are more. */
export const argumentCharsMax = 2_000;
const wordCharsMax = 300;
const reasonsMax = 5;

/**
 * What a person is told of a call before he says yes or no, one fact a line. What the agent or the server wrote stands in it with
 * everything escaped that could hide, reorder or add a line.
 */
export function questionText({ id, call, decision }: Asked): string {
  const { agent, userId, channel } = call.actor;
  const who = [agent, userId && `for ${userId}`, channel && `on ${channel}`];
  const named = who.filter((word) => word !== undefined && word !== '').join(' ');
  const { rule, rules } = askedRules(decision);
  const all = rules.length > 1 ? [`Rules that ask: ${rules.map(word).join(', ')}`] : [];
  const lines = [
    'An agent wants to make a call that needs your approval.',
    `Tool: ${word(nameOf(call))}`,
    `Agent: ${named === '' ? 'unknown' : word(named)}`,
    `Risk: ${decision.risk} (rule ${word(rule)})`,
    ...all,
    ...decision.reasons.slice(0, reasonsMax).map((reason) => `Why: ${word(reason)}`),
    ...argumentLines(shownArguments(call)),
    `Question ${id} of gatebook`,
  ];
  return lines.join('\n');
}

function argumentLines(text: string): string[] {
  const cut = text.length > argumentCharsMax;
  const of = cut ? `, the first ${argumentCharsMax} of ${text.length} characters` : '';
  return [`Arguments${of}: ${visible(text.slice(0, argumentCharsMax).toWellFormed())}`];
}

function word(text: string): string {
  return visible(text.slice(0, wordCharsMax).toWellFormed());
}
