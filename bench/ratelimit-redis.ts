import * as fs from 'node:fs';
import * as path from 'node:path';
import {
  type Answer,
  atLeast,
  cellOf,
  type Measures,
  ratioOf,
  ratioTable,
  tableOf,
} from './answer.js';
import type { Bench } from './bench.js';
import type { HandLimit } from './hand-gcra.js';
import type { AsyncTaker, Call, Levels } from './ratelimit-contenders.js';
import { names } from './ratelimit-names.js';
import {
  type Clients,
  gcraName,
  gcraOver,
  kinds,
  leasedName,
  leasedOver,
  nameOf,
  openIoredis,
  openNodeRedis,
  ownOver,
  unionName,
  unionOver,
} from './redis-contenders.js';
import { RedisProcess } from './redis-process.js';
import { type Contender, runRounds } from './rounds.js';

const inFlight = 100;
const column = 'thousand decisions a second';
/** No bucket is used up by what is taken. */
const open: Levels = [
  { name: 'all', count: 1e6, perMs: 1_000 },
  { name: 'user', count: 1e5, perMs: 60_000 },
  { name: 'pair', count: 1e5, perMs: 60_000 },
];
/** A process takes more from a lease than a bucket in the store could be asked for. */
const plenty: HandLimit = { name: 'all', count: 1e9, perMs: 1_000 };
const small: Levels = [
  { name: 'all', count: 600, perMs: 3_600_000 },
  { name: 'user', count: 20, perMs: 3_600_000 },
  { name: 'pair', count: 8, perMs: 3_600_000 },
];

/** How fast are decisions over Redis, at three levels? */
export async function ratelimitRedis({ plan, workspace, random }: Bench): Promise<Answer> {
  const { users, takes } = plan.ratelimit;
  const calls = Array.from({ length: Math.ceil(takes / 20) }, (): Call => {
    const user = random.between(0, users);
    return { actor: `user${String(user).padStart(8, '0')}`, tool: `tool${user % 4}` };
  });
  const folder = path.join(workspace.folder, 'redis');
  fs.mkdirSync(folder);
  const server = await RedisProcess.start(folder);
  const clients: Clients = {
    ioredis: openIoredis(server.socket),
    nodeRedis: await openNodeRedis(server.socket),
  };
  try {
    await expectAlike(clients);
    const contenders: Contender[] = [];
    for (const kind of kinds) {
      contenders.push(
        ...[
          await ownOver(clients, kind, open, 'own'),
          await gcraOver(clients, kind, open, 'gcra'),
          unionOver(clients, kind, open, 'union'),
        ].map((taker) => contenderOf(taker, calls)),
      );
    }
    const { limiter } = await leasedOver(clients, plenty, 'leased');
    contenders.push(leasedContender(async () => (await limiter.take({})).allowed, takes));
    const rounds = await runRounds(plan, contenders, workspace.settle);
    await limiter.close();
    const ratio = (peer: string, kind: (typeof kinds)[number]): number =>
      ratioOf(rounds, nameOf(names.own, kind), nameOf(peer, kind), column).median;
    const limit = 'what the server writes for each request.';
    return {
      question: 'ratelimit-redis',
      title: 'Decisions over Redis',
      method: [
        `One server, started for this, at a Unix socket on the same machine, without persistence; ${inFlight} calls in flight from one process, ${calls.length.toLocaleString('en')} a round, of ${users.toLocaleString('en')} users in random order. Three levels as in memory, all or none; gatebook with an id for each request.`,
        'gatebook puts requests that are made at once into one call, 32 at most; the others send one or three for each.',
        'The smallest GCRA script: server time, one MGET and three SETs, no ids and nothing that makes it safe. rate-limiter-flexible’s Union charges the other limits for what one refuses.',
        'Before anything is timed gatebook and the GCRA script decide 3,000 calls alike at limits that some of them meet.',
        `Leased: one common bucket, ${takes.toLocaleString('en')} calls awaited one by one.`,
      ],
      tables: [
        tableOf('Three levels', rounds),
        ...kinds.map((kind) =>
          ratioTable(
            `Ratios, ${kind}`,
            rounds,
            nameOf(names.own, kind),
            [gcraName, unionName].map((peer) => nameOf(peer, kind)),
            [column],
          ),
        ),
      ],
      targets: [
        atLeast('ioredis ÷ GCRA script', ratio(gcraName, 'ioredis'), 0.8, '×', limit),
        atLeast('node-redis ÷ GCRA script', ratio(gcraName, 'node-redis'), 0.8, '×', limit),
        atLeast('ioredis ÷ Union', ratio(unionName, 'ioredis'), 2, '×', limit),
        atLeast('node-redis ÷ Union', ratio(unionName, 'node-redis'), 1.6, '×', limit),
        atLeast(
          'leased, decisions',
          cellOf(rounds, leasedName, column).median / 1_000,
          1,
          'M/s',
          'a promise for each call.',
        ),
      ],
    };
  } finally {
    clients.ioredis.disconnect();
    clients.nodeRedis.destroy();
    await server.stop();
  }
}

function contenderOf({ name, take }: AsyncTaker, calls: readonly Call[]): Contender {
  return {
    name,
    async measure(): Promise<Measures> {
      let next = 0;
      const since = performance.now();
      const go = async (): Promise<void> => {
        for (let call = calls[next++]; call !== undefined; call = calls[next++])
          if (!(await take(call))) throw new Error(`${name} refuses what it should let in`);
      };
      await Promise.all(Array.from({ length: inFlight }, go));
      return { [column]: calls.length / (performance.now() - since) };
    },
  };
}

function leasedContender(take: () => Promise<boolean>, count: number): Contender {
  return {
    name: leasedName,
    async measure(): Promise<Measures> {
      const since = performance.now();
      for (let i = 0; i < count; i++)
        if (!(await take())) throw new Error('a leased bucket is used up');
      return { [column]: count / (performance.now() - since) };
    },
  };
}

/** Throws unless gatebook decides as the script does, by both clients. */
async function expectAlike(clients: Clients): Promise<void> {
  const calls = Array.from({ length: 3_000 }, (_, i) => ({
    actor: `user${(i * 7919) % 50}`,
    tool: `tool${(i * 104_729) % 3}`,
  }));
  for (const kind of kinds) {
    const own = await ownOver(clients, kind, small, 'alike-own');
    const peer = await gcraOver(clients, kind, small, 'alike-gcra');
    const seen = new Set<boolean>();
    for (const call of calls) {
      const [one, other] = [await own.take(call), await peer.take(call)];
      seen.add(one);
      if (one !== other) throw new Error(`${own.name} and ${peer.name} decide otherwise`);
    }
    if (seen.size !== 2) throw new Error('the calls do not try the limits');
    own.close();
  }
}
