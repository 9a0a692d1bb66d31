import { randomBytes } from 'node:crypto';
import type { Opening } from './acknowledgement.js';
import { commitmentTo } from './commitment.js';
import { newId } from './id.js';
import type { Person } from './subject-keys.js';

/** Bodies in which nothing personal stands in plain text: docs/format.md §12. */

type Members = Record<string, unknown>;

/** Members that may hold personal data, by their section. `user_id` becomes a pseudonym instead. */
const personalMembers: readonly (readonly [section: string, names: readonly string[]])[] = [
  ['actor', ['username', 'ip']],
  ['action', ['command', 'arguments']],
  ['result', ['error', 'output']],
];

/** Who a body is about, as its own words have it. */
export function actorOf(body: Members): Person {
  const actor = body['actor'];
  if (typeof actor !== 'object' || actor === null) return {};
  const { user_id: userId, username } = actor as Members;
  return {
    ...(typeof userId === 'string' ? { userId } : {}),
    ...(typeof username === 'string' ? { username } : {}),
  };
}

export interface Committed {
  /** The `ref` of all commitments in the body; undefined where there are none. */
  readonly ref: string | undefined;
  readonly openings: readonly Opening[];
}

/**
 * Puts the pseudonym and commitments without previews in place of what is personal in `body`, which is changed. `given` holds the
 * content of commitments that were made before; of one without it only the preview goes.
 */
export function commitPersonal(
  body: Members,
  pseudonym: string,
  given: readonly Opening[],
): Committed {
  const openings: Opening[] = [];
  const ref = newId('cnt_');
  const { userId, username } = actorOf(body);
  if (userId !== undefined || username !== undefined) {
    body['actor'] = withUserId(body['actor'] as Members, pseudonym);
  }
  for (const [section, names] of personalMembers) {
    const members = body[section] as Members | undefined;
    if (members === undefined) continue;
    for (const name of names) {
      const value = members[name];
      if (value === undefined) continue;
      const member = `${section}.${name}`;
      const content =
        typeof value === 'string' ? value : contentOf(value as Members, member, given);
      if (content === undefined) {
        const { preview: _preview, ...commitment } = value as Members;
        members[name] = commitment;
        continue;
      }
      const salt = randomBytes(32);
      members[name] = commitmentTo(ref, salt, content);
      openings.push({ ref, member, salt, content });
    }
  }
  return { ref: openings.length === 0 ? undefined : ref, openings };
}

/** In its place among the members, also where only a username was given. */
function withUserId({ channel, user_id: _userId, ...others }: Members, pseudonym: string): Members {
  return { ...(channel === undefined ? {} : { channel }), user_id: pseudonym, ...others };
}

function contentOf(
  commitment: Members,
  member: string,
  given: readonly Opening[],
): string | undefined {
  return given.find((one) => one.ref === commitment['ref'] && one.member === member)?.content;
}
