import { once } from 'node:events';
import { AuditError, parseVerifierKey, serveWitness, Witness } from '@gatebook/audit';
import { writeStdout } from './destination.js';
import { usageError } from './failure.js';
import { readKeyOrFile } from './key-value.js';
import { say } from './talk.js';
import { visible } from './visible.js';

export interface WitnessCommand {
  readonly state: string;
  readonly name?: string | undefined;
  readonly listen: { readonly host: string; readonly port: number };
  /** Verifier keys, or files that hold one. */
  readonly logKeys: readonly string[];
}

/** `gatebook witness`: runs until SIGTERM or SIGINT. */
export async function runWitness(command: WitnessCommand): Promise<number> {
  const logKeys = await Promise.all(
    command.logKeys.map((value) => readKeyOrFile('--log-key', value, parseVerifierKey)),
  );
  const witness = open({ dir: command.state, name: command.name, logKeys });
  try {
    const server = await serveWitness({
      witness,
      listen: command.listen,
      onRefusal: ({ status, origin, reason }) =>
        say(`refused (${status}): ${origin === undefined ? '' : `${origin}: `}${reason}`),
    });
    await writeStdout(
      `public key  ${visible(witness.publicKey)}\nlistening   ${visible(server.url)}\n`,
    );
    await ended();
    await server.close();
    return 0;
  } finally {
    witness.close();
  }
}

function open(options: ConstructorParameters<typeof Witness>[0]): Witness {
  try {
    return new Witness(options);
  } catch (error) {
    if (error instanceof AuditError && error.code === 'bad_option') {
      throw usageError(error.message, error);
    }
    throw error;
  }
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process as it would have. */
export async function ended(): Promise<void> {
  const stop = new AbortController();
  const { signal } = stop;
  try {
    await Promise.race([once(process, 'SIGTERM', { signal }), once(process, 'SIGINT', { signal })]);
  } finally {
    stop.abort();
  }
}
