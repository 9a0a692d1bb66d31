import * as fs from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { GateError } from './errors.js';
import type { StateError } from './state/message.js';
import {
  type OperatorAnswer,
  type OperatorAsk,
  type OperatorOp,
  replyBytesMax,
} from './state/operator-message.js';
import { operatorSocket, unsafeFolder, withReach } from './state/operator-place.js';

/** How long the holder may take, from one byte to the next. */
const patienceMs = 5_000;

/**
 * Asks the process that holds what the gates over a log share, as its operator. Undefined where none does.
 *
 * @throws GateError that was the answer; `state_unavailable` where the holder does not answer, or somebody else may have made the socket
 */
export async function askHolder<O extends OperatorOp>(
  stateFolder: string,
  op: O,
  ask: OperatorAsk<O>,
): Promise<OperatorAnswer<O> | undefined> {
  const socket = operatorSocket(stateFolder);
  const unsafe = unsafeFolder(dirname(socket));
  if (unsafe !== undefined) throw unavailable(unsafe);
  if (fs.lstatSync(socket, { throwIfNoEntry: false }) === undefined) return undefined;
  const connection = await connected(socket);
  if (connection === undefined) return undefined;
  const line = await exchanged(connection, `${JSON.stringify({ op, ...ask })}\n`);
  let answer: OperatorAnswer<O> | { readonly error: StateError };
  try {
    answer = JSON.parse(line) as typeof answer;
  } catch (cause) {
    throw unavailable(`the process that listens at ${socket} answers with no JSON`, cause);
  }
  if (!('error' in answer)) return answer;
  const { code, message, rule } = answer.error;
  throw new GateError(code, message, { rule });
}

/** Undefined where a holder that ended has left its socket behind. */
async function connected(socket: string): Promise<Socket | undefined> {
  try {
    return await withReach(socket, connection);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ECONNREFUSED' || code === 'ENOENT') return undefined;
    throw unavailable(`the gate cannot be reached at ${socket}: ${String(error)}`, error);
  }
}

async function connection(path: string): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

async function exchanged(socket: Socket, line: string): Promise<string> {
  try {
    return await new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      let bytes = 0;
      const fail = (what: string): void => reject(unavailable(`the gate ${what}`));
      socket.setTimeout(patienceMs, () => fail(`does not answer within ${patienceMs / 1000} s`));
      socket.once('error', (error) => fail(`cannot be asked: ${error.message}`));
      socket.once('close', () => fail('has ended before it answered'));
      socket.on('data', (part: Buffer) => {
        bytes += part.length;
        parts.push(part);
        if (part.includes(0x0a)) resolve(Buffer.concat(parts).toString().split('\n', 1)[0]!);
        else if (bytes > replyBytesMax) fail(`answers with more than ${replyBytesMax} bytes`);
      });
      socket.write(line);
    });
  } finally {
    socket.destroy();
  }
}

function unavailable(message: string, cause?: unknown): GateError {
  return new GateError('state_unavailable', message, { cause });
}
