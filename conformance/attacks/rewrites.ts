import type { Attack, Brought, Expected, Place } from './attack.js';
import { put } from './folder.js';
import { type Draft, draftsOf, forge, type StolenKeys } from './forger.js';
import { asAuditor, asPublic, type Logs } from './logs.js';
import { checkpointText, note, parseCheckpoint, signatureLine, signedCheckpoint } from './notes.js';
import type { Random } from './random.js';
import { endsEpoch } from './records.js';

type Rewrite = (drafts: readonly Draft[], seq: number) => Draft[];

const edit =
  (change: (members: Draft['members']) => Draft['members']): Rewrite =>
  (drafts, seq) =>
    drafts.map((draft, i) =>
      i === seq ? { members: change(draft.members), startsSegment: draft.startsSegment } : draft,
    );

/** What a key holder does to a record of the past. */
const rewrites: Readonly<Record<string, Rewrite>> = {
  'its time changed': edit((members) => ({ ...members, timestamp: '2020-01-01T00:00:00.000Z' })),
  'its emitter changed': edit((members) => ({ ...members, emitter: 'pid:1' })),
  'made harmless': edit(({ seq, timestamp, event_id, event_type, emitter, ...rest }) => ({
    seq,
    timestamp,
    event_id,
    event_type,
    emitter,
    details: { harmless: true },
    epoch: rest['epoch'],
    prev_hash: rest['prev_hash'],
  })),
  'nothing but its hash changed': edit((members) => ({ ...members })),
  removed: (drafts, seq) =>
    drafts.flatMap((draft, i) => {
      if (i === seq) return [];
      const { startsSegment } = drafts[seq]!;
      return [i === seq + 1 && startsSegment ? { ...draft, startsSegment } : draft];
    }),
  'preceded by an invented record': (drafts, seq) => {
    const draft = drafts[seq]!;
    const invented: Draft = {
      members: { ...draft.members, event_type: 'acme.invented' },
      startsSegment: draft.startsSegment,
    };
    return drafts.flatMap((each, i) =>
      i === seq ? [invented, { ...each, startsSegment: false }] : [each],
    );
  },
};

/** Row 7, and row 4 for a fork that was signed with the log's own key. */
export function keyHolderRewrites(logs: Logs, keys: StolenKeys, random: Random): Attack[] {
  const { closed } = logs;
  const drafts = draftsOf(closed);
  const past = closed.records.filter(
    ({ type, seq }) => seq > 0 && !endsEpoch(type) && type !== 'log.recovered',
  );
  const chosen = [past[0]!, past.at(-1)!, ...random.sample(past.slice(1, -1), 5)];
  return chosen.flatMap((record) =>
    Object.entries(rewrites).flatMap(([name, rewrite]) => {
      const { seq } = record;
      const written = rewrite(drafts, seq);
      let forged: ReturnType<typeof forge> | undefined;
      const folder = () => (forged ??= forge(closed, written, keys));
      const attack = (who: string, brought: Brought, expected: Expected): Attack => ({
        name: `key holder: record ${seq} (${record.type}) ${name}: ${who}`,
        folder,
        brought,
        expected,
      });
      const shift = written.length - drafts.length;
      const at: Place = {
        seq,
        ...(shift === 0 ? { path: record.path, offset: record.offset } : {}),
      };
      const reach = written.length;
      return [
        attack('auditor', asAuditor(logs), { verdict: 'tampered', at }),
        attack('public, no evidence', asPublic(logs), { verdict: 'ok', pending: 0 }),
        ...(['middle', 'closed'] as const).map((held) =>
          attack(
            `public, ${held} held`,
            asPublic(logs, { held: [logs.held[held]] }),
            againstHeld(logs.heldSizes[held], seq, reach),
          ),
        ),
      ];
    }),
  );
}

function againstHeld(size: number, seq: number, reach: number): Expected {
  if (size <= seq) return { verdict: 'ok' };
  return reach < size ? { verdict: 'rolled_back' } : { verdict: 'tampered', at: { around: seq } };
}

/** The epoch that is open is not past yet: who holds its key may still write it, unless somebody holds evidence. */
export function openEpochRewrites(logs: Logs, keys: StolenKeys): Attack[] {
  const { open } = logs;
  const drafts = draftsOf(open);
  const own = open.records.filter(
    ({ epoch, type }) => epoch === keys.epoch && type !== 'log.opened',
  );
  const chosen = [own[0]!, own[5]!, own.at(-1)!];
  const pending = open.records.length - open.covered;
  return chosen.flatMap(({ seq }) => {
    const folder = () => forge(open, rewrites['made harmless']!(drafts, seq), keys, pending);
    const evidence = seq < open.covered;
    const attack = (who: string, brought: Brought, expected: Expected): Attack => ({
      name: `key holder: record ${seq} of the open epoch rewritten: ${who}`,
      folder,
      brought,
      expected,
    });
    return [
      attack('auditor', asAuditor(logs), { verdict: 'ok', pending }),
      attack('public', asPublic(logs), { verdict: 'ok', pending }),
      attack(
        'auditor, a checkpoint of it held',
        asAuditor(logs, { held: [logs.held.pending] }),
        evidence ? { verdict: 'tampered', at: { around: seq } } : { verdict: 'ok' },
      ),
    ];
  });
}

/** Checkpoints that only a key holder can sign. */
export function keyHolderCheckpoints(logs: Logs, keys: StolenKeys): Attack[] {
  const { folder, covered } = logs.closed;
  const own = parseCheckpoint(folder.get('checkpoint')!);
  const foreignRoot = Buffer.alloc(32, 7);
  const signed = (size: number, root = foreignRoot) =>
    signedCheckpoint({ ...own, size, root }, keys.signer);
  const name20 = (size: number) => String(size).padStart(20, '0');
  const attack = (name: string, path: string, text: string, expected: Expected): Attack => ({
    name: `key holder: ${name}`,
    folder: () => put(folder, path, text),
    brought: asPublic(logs),
    expected,
  });
  const extended = `${checkpointText(own)}extension\n`;
  return [
    attack('another root signed', 'checkpoint', signed(covered), { verdict: 'tampered' }),
    attack('another root at another size signed', `checkpoints/${name20(100)}`, signed(100), {
      verdict: 'tampered',
    }),
    attack(
      'another root of the same size signed',
      `checkpoints/${name20(covered)}`,
      signed(covered),
      {
        verdict: 'tampered',
      },
    ),
    attack('a larger tree signed', 'checkpoint', signed(covered + 5), {
      verdict: 'truncated',
      at: { range: [covered, covered + 5] },
    }),
    attack('a far larger tree signed', 'checkpoint', signed(2 ** 52), { verdict: 'truncated' }),
    attack('another root at size 0 signed', `checkpoints/${name20(0)}`, signed(0), {
      verdict: 'tampered',
    }),
    attack(
      'an extension line signed',
      'checkpoint',
      note(extended, signatureLine(extended, keys.signer)),
      {
        verdict: 'tampered',
        at: { file: 'checkpoint' },
      },
    ),
  ];
}
