import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { Consultations, type Sender, slotsMax } from './consultations.js';
import { answerMs, type Caller, messagesMax } from './hook.js';
import { claim, type FromConsultations, type ToConsultations } from './hook-messages.js';

/** A guest that remembers what it was told: the answer, the code of the error, or that the message was not considered. */
class FakeGuest implements Sender {
  readonly pid = 1;
  isDeaf = false;
  readonly told: [number, string][] = [];
  constructor(
    readonly client: string,
    readonly emitter: string | undefined = undefined,
  ) {}
  consulted(id: number, answer: string): void {
    this.told.push([id, answer]);
  }
  notConsulted(id: number, error?: { readonly code: string }): void {
    this.told.push([id, error?.code ?? 'not considered']);
  }
}

/** The door's side, and the hook's thread as a test plays it. */
function setUp() {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => port2.close());
  const claims = new Int32Array(new SharedArrayBuffer(4 * slotsMax));
  const consultations = new Consultations(port1, claims);
  /** What came since it was asked last. */
  const come = (): FromConsultations[] => {
    const messages: FromConsultations[] = [];
    for (;;) {
      const next = receiveMessageOnPort(port2) as { message: FromConsultations } | undefined;
      if (next === undefined) return messages;
      messages.push(next.message);
    }
  };
  const consults = () => come().filter((one) => one.kind === 'consult');
  const reply = (message: ToConsultations): void => port2.postMessage(message);
  const flood = (guest: FakeGuest, count: number, first = 0): void => {
    for (let i = 0; i < count; i++)
      consultations.take(guest, first + i, `${guest.client} ${first + i}`);
  };
  return { consultations, claims, come, consults, reply, flood };
}

function names(messages: readonly { readonly message: string }[]): string[] {
  return messages.map(({ message }) => message);
}

async function delivered(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 20));
}

test('a guest has 64 messages with the hook; one more goes there for each that comes back, in order', async () => {
  const { consults, reply, flood } = setUp();
  const guest = new FakeGuest('a');
  flood(guest, 200);
  const first = consults();
  expect(names(first)).toEqual(Array.from({ length: messagesMax }, (_, i) => `a ${i}`));
  reply({ slot: first[0]!.slot, answer: 'yes' });
  reply({ slot: first[1]!.slot, error: { code: 'hook_failed', message: '' } });
  await delivered();
  expect(guest.told).toEqual([
    [0, 'yes'],
    [1, 'hook_failed'],
  ]);
  expect(names(consults())).toEqual(['a 64', 'a 65']);
});

test('of a guest that does not read what it is told nothing is asked until it does', async () => {
  const { consultations, consults, reply, flood } = setUp();
  const guest = new FakeGuest('a');
  flood(guest, 1);
  guest.isDeaf = true;
  flood(guest, 2, 1);
  const [first, ...more] = consults();
  reply({ slot: first!.slot, answer: '' });
  await delivered();
  expect([...more, ...consults()]).toEqual([]);
  guest.isDeaf = false;
  consultations.pump();
  expect(names(consults())).toEqual(['a 1', 'a 2']);
});

test('guests that fill what is shared leave one message to everybody else, and take turns', async () => {
  const { consults, reply, flood } = setUp();
  const greedy = Array.from({ length: 9 }, (_, at) => new FakeGuest(`g${at}`));
  for (const guest of greedy) flood(guest, 100);
  const first = consults();
  // Eight times 64 are what is shared; the ninth has the one of its own.
  expect(first).toHaveLength(513);
  const polite = new FakeGuest('polite');
  flood(polite, 2);
  expect(names(consults())).toEqual(['polite 0']);
  for (const { slot } of first.slice(0, 30)) reply({ slot, answer: '' });
  await delivered();
  const next = names(consults());
  // Two more than what is shared were there already; all of these were of the first.
  expect(next).toHaveLength(28);
  expect(next.filter((name) => name.startsWith('polite'))).toEqual(['polite 1']);
  expect(next.filter((name) => name.startsWith('g8')).length).toBeGreaterThan(10);
  expect(next.filter((name) => name.startsWith('g0')).length).toBeGreaterThan(10);
});

test('what is late is taken back, counts as decided where the hook has it, and leaves its slot when that says so', async () => {
  const { consultations, claims, consults, reply, flood } = setUp();
  const guest = new FakeGuest('a');
  flood(guest, messagesMax + 6);
  const sent = consults();
  const now = performance.now();
  expect(claim(claims, sent[0]!.slot)).toBe(true);
  consultations.look(now + answerMs - 100);
  expect(guest.told).toEqual([]);
  consultations.look(now + answerMs + 100);
  expect(guest.told).toHaveLength(messagesMax + 6);
  expect(guest.told.filter(([, what]) => what === 'unknown_outcome')).toEqual([
    [0, 'unknown_outcome'],
  ]);
  expect(guest.told.filter(([, what]) => what === 'log_unavailable')).toHaveLength(messagesMax + 5);
  expect(claim(claims, sent[1]!.slot)).toBe(false);
  // The hook's thread has not come round to any of them, so there is no room for more.
  flood(guest, 2, 1_000);
  expect(consults()).toEqual([]);
  reply({ slot: sent[0]!.slot, answer: 'too late' });
  reply({ slot: sent[1]!.slot });
  await delivered();
  expect(names(consults())).toEqual(['a 1000', 'a 1001']);
  expect(guest.told).toHaveLength(messagesMax + 6);
});

test('a door that closes says what was not considered, and waits for what the hook has', async () => {
  const { consultations, claims, consults, reply, flood } = setUp();
  const guest = new FakeGuest('a');
  flood(guest, messagesMax + 1);
  const [taken, offered] = consults();
  claim(claims, taken!.slot);
  let closed = false;
  const closing = consultations.close().then(() => {
    closed = true;
  });
  expect(guest.told).toHaveLength(messagesMax);
  expect(new Set(guest.told.map(([, what]) => what))).toEqual(new Set(['not considered']));
  expect(claim(claims, offered!.slot)).toBe(false);
  flood(guest, 1, 1_000);
  expect(guest.told.at(-1)).toEqual([1_000, 'not considered']);
  await delivered();
  expect(closed).toBe(false);
  reply({ slot: taken!.slot, answer: 'in time' });
  await closing;
  expect(guest.told.at(-1)).toEqual([0, 'in time']);
});

test('a door that closes does not wait for long', async () => {
  const { consultations, claims, consults, flood } = setUp();
  flood(new FakeGuest('a'), 1);
  claim(claims, consults()[0]!.slot);
  const since = performance.now();
  await consultations.close();
  expect(performance.now() - since).toBeLessThan(900);
});

test('what a guest that left had waiting is not considered, and the hook hears that it has gone once, in time', async () => {
  const { consultations, claims, come, flood } = setUp();
  const guest = new FakeGuest('a');
  flood(guest, messagesMax + 10);
  const slots = come().map((one) => (one.kind === 'consult' ? one.slot : -1));
  consultations.left(guest, false);
  expect(slots.filter((slot) => claim(claims, slot))).toEqual([]);
  await delivered();
  // It comes again in time, on another connection, and goes for good.
  const again = new FakeGuest('a');
  consultations.came(again);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  expect(come()).toEqual([]);
  consultations.left(again, false);
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(come()).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const caller: Caller = { client: 'a', pid: 1 };
  expect(come()).toEqual([{ kind: 'gone', from: caller }]);
  consultations.left(again, true);
  expect(come()).toEqual([]);
});

test('who says that it does not come again has gone at once; who never sent a message never was there', () => {
  const { consultations, come, flood } = setUp();
  const [known, silent] = [new FakeGuest('known', 'agent'), new FakeGuest('silent')];
  flood(known, 1);
  come();
  consultations.left(silent, true);
  consultations.left(known, true);
  expect(come()).toEqual([{ kind: 'gone', from: { client: 'known', pid: 1, emitter: 'agent' } }]);
});

test('nobody is taken for another emitter’s client', () => {
  const { consultations, consults, come, flood } = setUp();
  const [agent, thief] = [new FakeGuest('same', 'agent'), new FakeGuest('same', 'thief')];
  flood(agent, 1);
  flood(thief, 1);
  expect(consults()).toMatchObject([{ from: { emitter: 'agent' } }]);
  expect(thief.told).toEqual([[0, 'protocol_mismatch']]);
  consultations.left(thief, true);
  expect(come()).toEqual([]);
});

test('of more clients than are waited for those that left first have gone', async () => {
  const { consultations, come, flood, reply } = setUp();
  const gone: string[] = [];
  for (let at = 0; at < 1_100; at++) {
    const guest = new FakeGuest(String(at));
    flood(guest, 1);
    consultations.left(guest, false);
    if (at % 100 < 99) continue;
    for (const one of come()) {
      if (one.kind === 'gone') gone.push(one.from.client);
      else reply({ slot: one.slot });
    }
    await delivered();
  }
  expect(gone).toEqual(Array.from({ length: 76 }, (_, at) => String(at)));
  await consultations.close();
});
