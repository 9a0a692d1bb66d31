import { createHmac, createPrivateKey, sign } from 'node:crypto';
import { cp, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../cli/gatebook.js';
import type { Attack, Brought, Expected } from './attack.js';
import { drop, type Folder, file, pathsIn, put, readFolder, segmentPaths } from './folder.js';
import { leafHash, rootOf, tilesOf } from './merkle.js';
import { checkpointText, freshSigner, note, type Signer, signatureLine, signer } from './notes.js';
import { cutRecords, readRecords, type StoredRecord } from './records.js';

/** A log whose signing key changed, as it stood at four moments, and what an intruder could have taken. */
export interface Changed {
  readonly before: Folder;
  /** Both keys sign. */
  readonly during: Folder;
  readonly after: Folder;
  readonly old: Signer;
  readonly next: Signer;
  readonly oldKey: string;
  readonly newKey: string;
  readonly hmacKey: string;
  /** Seq of the records that name the new key and retire the old one. */
  readonly rotated: number;
  readonly retired: number;
  /** The key of the epoch that follows `after`. */
  readonly epoch: number;
  readonly epochKey: Buffer;
  readonly dir: string;
}

export async function makeChanged(dir: string): Promise<Changed> {
  const [log, keys] = [join(dir, 'log'), join(dir, 'keys')];
  const gatebook = async (args: readonly string[], input = ''): Promise<void> => {
    const ran = await run([...args, '--log', log, '--keys', keys], { input });
    if (ran.code !== 0) throw new Error(`${args.join(' ')}: ${ran.stderr}`);
  };
  const record = (): Promise<void> =>
    gatebook(['record'], '{"event_type":"auth_login"}\n'.repeat(20));
  await mkdir(dir, { recursive: true });
  await gatebook(['init']);
  await rename(join(keys, 'initial-hmac-key'), join(dir, 'auditor-key'));
  await record();
  await cp(join(keys, 'public-key'), join(dir, 'old-key'));
  const origin = (await readFile(join(keys, 'origin'), 'utf8')).trim();
  const old = await stolenSigner(origin, join(keys, 'signing-key.pem'));
  const before = await readFolder(log);
  await gatebook(['keys', 'rotate', '--overlap']);
  await record();
  const during = await readFolder(log);
  await gatebook(['keys', 'retire']);
  await record();
  const after = await readFolder(log);
  const names = await readdir(keys);
  const pem = names.find((name) => name.endsWith('.pem'))!;
  const [epochFile = ''] = names.filter((name) => /^epoch-\d+\.key$/.test(name));
  const packed = (await readFile(join(keys, epochFile), 'utf8'))
    .trim()
    .split('+')
    .slice(2)
    .join('+');
  const records = readRecords(after);
  return {
    before,
    during,
    after,
    old,
    next: await stolenSigner(origin, join(keys, pem)),
    oldKey: join(dir, 'old-key'),
    newKey: join(keys, 'public-key'),
    hmacKey: join(dir, 'auditor-key'),
    rotated: records.find(({ type }) => type === 'log.key_rotated')!.seq,
    retired: records.find(({ type }) => type === 'log.key_retired')!.seq,
    epoch: Number(/\d+/.exec(epochFile)![0]),
    epochKey: Buffer.from(packed, 'base64'),
    dir,
  };
}

async function stolenSigner(origin: string, pem: string): Promise<Signer> {
  return signer(origin, createPrivateKey(await readFile(pem)));
}

function name20(size: number): string {
  return `checkpoints/${String(size).padStart(20, '0')}`;
}

/** A checkpoint of the first `size` records of a folder, signed by these. */
function signedBy(folder: Folder, size: number, ...by: readonly Signer[]): string {
  const leaves = readRecords(folder)
    .slice(0, size)
    .map(({ line }) => leafHash(line));
  return signText(checkpointText({ origin: by[0]!.name, size, root: rootOf(leaves) }), by);
}

function signText(text: string, by: readonly Signer[]): string {
  return note(text, ...by.map((each) => signatureLine(text, each)));
}

interface Added {
  readonly type: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** Who signs the checkpoint that ends with this record, which is kept. */
  readonly signers?: readonly Signer[];
}

/** The folder with records behind its end, rightly chained and hashed, and checkpoints as they are said to be. */
function extended(changed: Changed, added: readonly Added[]): Folder {
  let folder = changed.after;
  const last = segmentPaths(folder)
    .filter((path) => path.endsWith('.jsonl'))
    .at(-1)!;
  added.forEach(({ type, details, signers }, i) => {
    const records = readRecords(folder);
    const { seq, line } = records.at(-1)!;
    const { hash } = JSON.parse(line.toString()) as { hash: string };
    const members = {
      seq: seq + 1,
      timestamp: new Date().toISOString(),
      event_id: `evt_01a2040c-c3aa-7661-8c18-${String(i).padStart(12, '0')}`,
      event_type: type,
      emitter: 'log',
      details,
      epoch: changed.epoch,
      prev_hash: hash,
    };
    const body = JSON.stringify(members).slice(0, -1);
    const own = createHmac('sha256', changed.epochKey).update(body).digest('hex');
    const bytes = Buffer.concat([file(folder, last), Buffer.from(`${body},"hash":"${own}"}\n`)]);
    folder = put(folder, last, bytes);
    if (signers === undefined) return;
    const checkpoint = signedBy(folder, seq + 2, ...signers);
    folder = put(put(folder, name20(seq + 2), checkpoint), 'checkpoint', checkpoint);
  });
  const tiles = new Map([...folder].filter(([path]) => !path.startsWith('tile/')));
  const leaves = readRecords(folder).map(({ line }) => leafHash(line));
  return new Map([...tiles, ...tilesOf(leaves)]);
}

/** A record about keys as its signer would write it. */
function keyRecord(
  what: 'rotated' | 'retired',
  previous: Signer,
  publicKey: Signer,
  by: Signer,
): Added {
  const text = `gatebook/v1/key-${what}\n${previous.publicKey}\n${publicKey.publicKey}\n`;
  const details = {
    previous: previous.publicKey,
    public_key: publicKey.publicKey,
    signature: sign(null, Buffer.from(text), by.key).toString('base64'),
  };
  return { type: `log.key_${what}`, details };
}

const tampered: Expected = { verdict: 'tampered' };
const ok: Expected = { verdict: 'ok' };

/** Every folder is looked at by a verifier with the old key, with the new one, with both, and by the auditor. */
export async function keyChanges(changed: Changed): Promise<Attack[]> {
  const held = await makeHeld(changed);
  return [
    ...untouched(changed),
    ...strippedSignatures(changed),
    ...oldKeyAgain(changed, held),
    ...invented(changed),
    ...rolledBack(changed, held),
  ];
}

type By = 'old' | 'new' | 'both' | 'auditor';

function seen(
  changed: Changed,
  name: string,
  folder: Folder,
  expected: Expected | Readonly<Record<By, Expected>>,
  more: Partial<Brought> = {},
): Attack[] {
  const { oldKey, newKey, hmacKey } = changed;
  const brought: Readonly<Record<By, Brought>> = {
    old: { keys: [oldKey] },
    new: { keys: [newKey] },
    both: { keys: [oldKey, newKey] },
    auditor: { keys: [oldKey], hmacKey },
  };
  return (Object.keys(brought) as By[]).map((by) => ({
    name: `${name}: ${by}`,
    folder: () => folder,
    brought: { ...brought[by], ...more },
    expected: 'verdict' in expected ? expected : expected[by],
  }));
}

function untouched(changed: Changed): Attack[] {
  const stranger: Expected = { verdict: 'wrong_log' };
  return [
    ...seen(changed, 'the old key retired', changed.after, ok),
    ...seen(changed, 'both keys sign', changed.during, ok),
    ...seen(changed, 'before the change', changed.before, {
      old: ok,
      new: stranger,
      both: stranger,
      auditor: ok,
    }),
  ];
}

function strippedSignatures(changed: Changed): Attack[] {
  const { after, during, rotated, retired, old, next } = changed;
  const link = name20(rotated + 1);
  const size = readRecords(during).length;
  const attacks = seen(changed, 'the link taken away', drop(after, link), tampered);
  for (const [who, one] of [
    ['old', old],
    ['new', next],
  ] as const) {
    const only = signedBy(after, rotated + 1, one);
    attacks.push(
      ...seen(changed, `the link signed by the ${who} key only`, put(after, link, only), tampered),
      ...seen(
        changed,
        `both sign, the newest by the ${who} key only`,
        put(during, 'checkpoint', signedBy(during, size, one)),
        tampered,
      ),
      ...seen(
        changed,
        `both sign, every checkpoint since by the ${who} key only`,
        put(put(during, 'checkpoint', signedBy(during, size, one)), link, only),
        tampered,
      ),
    );
  }
  const kept = name20(retired + 1);
  return [
    ...attacks,
    ...seen(
      changed,
      'the checkpoint that ends with the retirement by both',
      put(after, kept, signedBy(after, retired + 1, old, next)),
      ok,
    ),
    ...seen(
      changed,
      'a checkpoint from before by the new key',
      withEarlier(changed, next),
      tampered,
    ),
  ];
}

/** A checkpoint of a size from before the change. */
function withEarlier({ after, rotated }: Changed, by: Signer): Folder {
  return put(after, name20(rotated), signedBy(after, rotated, by));
}

function oldKeyAgain(changed: Changed, held: HeldFiles): Attack[] {
  const { after, old, next, retired } = changed;
  const size = readRecords(after).length;
  const kept = name20(retired + 1);
  const forged = signText(
    checkpointText({ origin: old.name, size: size + 500, root: Buffer.alloc(32, 3) }),
    [old],
  );
  return [
    ...seen(
      changed,
      'the newest signed by the retired key',
      put(after, 'checkpoint', signedBy(after, size, old)),
      tampered,
    ),
    ...seen(
      changed,
      'a kept one signed by the retired key',
      put(after, kept, signedBy(after, retired + 1, old)),
      tampered,
    ),
    ...seen(changed, 'the retired key signs for more', put(after, 'checkpoint', forged), tampered),
    ...seen(
      changed,
      'the newest signed by both, after the end',
      put(after, 'checkpoint', signedBy(after, size, old, next)),
      ok,
    ),
    ...seen(changed, 'held: signed by the retired key', after, tampered, { held: [held.retired] }),
    ...seen(changed, 'held: more, signed by the retired key', after, tampered, {
      held: [held.more],
    }),
    ...seen(changed, 'held: all that were true', after, ok, {
      held: [held.before, held.during, held.after],
    }),
  ];
}

/** Whoever has the HMAC key, and so can append, but lacks the key that signs. */
function invented(changed: Changed): Attack[] {
  const { old, next } = changed;
  const evil = freshSigner(old.name);
  const attacks = (name: string, added: readonly Added[]): Attack[] =>
    seen(changed, name, extended(changed, added), tampered);
  const rotation = keyRecord('rotated', next, evil, evil);
  return [
    ...attacks('a key that names itself', [{ ...rotation, signers: [evil] }]),
    ...attacks('a key that names itself, not covered yet', [rotation]),
    ...attacks('a key that the retired key names', [
      { ...keyRecord('rotated', next, evil, old), signers: [evil] },
    ]),
    ...attacks('a key that follows the retired one', [
      { ...keyRecord('rotated', old, evil, old), signers: [old, evil] },
    ]),
    ...attacks('a key that names itself, and the end of the one before', [
      { ...rotation, signers: [evil] },
      { ...keyRecord('retired', next, evil, evil), signers: [evil] },
    ]),
    ...attacks('the old key again', [
      { ...keyRecord('rotated', next, old, next), signers: [next, old] },
    ]),
    ...attacks('a key rightly named, that signs alone', [
      { ...keyRecord('rotated', next, evil, next), signers: [evil] },
    ]),
    ...attacks('a key rightly named, but nobody signs for it', [
      { ...keyRecord('rotated', next, evil, next), signers: [next] },
    ]),
    ...attacks('a retirement without a successor', [
      { ...keyRecord('retired', old, next, next), signers: [next] },
    ]),
    ...seen(
      changed,
      'what a key holder may do: another key, rightly named',
      extended(changed, [{ ...keyRecord('rotated', next, evil, next), signers: [next, evil] }]),
      ok,
    ),
  ];
}

function rolledBack(changed: Changed, held: HeldFiles): Attack[] {
  const { before, after, rotated } = changed;
  const rolled: Expected = { verdict: 'rolled_back' };
  const records: readonly StoredRecord[] = readRecords(after);
  const cut = cutRecords(after, records, rotated);
  return [
    ...seen(changed, 'cut off before the change, checkpoints left', cut, { verdict: 'truncated' }),
    ...seen(changed, 'an older copy, the link held', before, rolled, { held: [held.link] }),
    ...seen(
      changed,
      'an older copy, the newest held',
      before,
      {
        old: { verdict: 'wrong_log' },
        new: rolled,
        both: rolled,
        auditor: { verdict: 'wrong_log' },
      },
      { held: [held.after] },
    ),
    ...seen(changed, 'a copy from the overlap, the newest held', changed.during, rolled, {
      held: [held.after],
    }),
  ];
}

type HeldFiles = Readonly<
  Record<'before' | 'during' | 'after' | 'link' | 'retired' | 'more', string>
>;

async function makeHeld(changed: Changed): Promise<HeldFiles> {
  const { before, during, after, rotated, old, dir } = changed;
  const size = readRecords(after).length;
  const more = { origin: old.name, size: size + 7, root: Buffer.alloc(32, 4) };
  const contents = {
    before: file(before, 'checkpoint'),
    during: file(during, 'checkpoint'),
    after: file(after, 'checkpoint'),
    link: file(after, name20(rotated + 1)),
    retired: signedBy(after, size, old),
    more: signText(checkpointText(more), [old]),
  };
  const written = Object.entries(contents).map(async ([name, bytes]) => {
    const path = join(dir, `held-${name}`);
    await writeFile(path, bytes);
    return [name, path] as const;
  });
  return Object.fromEntries(await Promise.all(written)) as HeldFiles;
}

/** How many files `checkpoints/` must at least hold for these attacks to mean anything. */
export function keptCheckpoints(folder: Folder): number {
  return pathsIn(folder, 'checkpoints').length;
}
