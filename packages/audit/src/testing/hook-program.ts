import { type AuditError, type AuditLog, type Caller, openAuditLog } from '../index.js';

/**
 * A process that has a log open and answers messages while it writes it; whoever forks it says what it is to do. Its hook
 * counts, and remembers who has left.
 */

let count = 0;
const left: Caller[] = [];

function answer(message: string): string | Promise<string> {
  const [what, ms] = message.split(' ');
  if (what === 'count') return String(++count);
  if (what === 'read') return String(count);
  if (what === 'left') return JSON.stringify(left.map(({ pid }) => pid));
  if (what === 'hang') return new Promise(() => {});
  if (what === 'slow') {
    return new Promise((resolve) => setTimeout(() => resolve(String(++count)), Number(ms)));
  }
  if (what === 'block') block(Number(ms));
  return message;
}

/** Nothing else runs on this thread meanwhile. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

export interface Order {
  readonly id: number;
  readonly consult?: string;
  readonly block?: number;
  readonly close?: boolean;
}

async function obey(log: AuditLog, order: Order): Promise<string> {
  if (order.block !== undefined) block(order.block);
  if (order.close) await log.close();
  if (order.consult === undefined) return '';
  return (await log.consult(order.consult)).answer;
}

const [dir, keysDir] = process.argv.slice(2);
const log = await openAuditLog({
  dir: dir!,
  keysDir: keysDir!,
  hook: () => ({ answer, left: (caller) => void left.push(caller) }),
});
process.on('message', (order: Order) => {
  const { id } = order;
  obey(log, order).then(
    (said) => process.send?.({ id, said }),
    (error: AuditError) => process.send?.({ id, code: error.code, message: error.message }),
  );
});
process.send?.({ isWriter: log.isWriter });
