import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { start } from '../cli/gatebook.js';

/** A running `gatebook witness`. */
export interface WitnessProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly url: string;
  /** Its verifier key. */
  readonly key: string;
  /** `URL=KEY`, as the options want it. */
  readonly option: string;
  stderr(): string;
  /** Ends it, by SIGTERM unless said otherwise; resolves with its exit code. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface WitnessStart {
  readonly state: string;
  readonly logKeys: readonly string[];
  readonly name?: string;
  /** Default: any free port. */
  readonly port?: number;
}

export function witnessArgs({ state, logKeys, name, port }: WitnessStart): string[] {
  return [
    ...['witness', '--state', state, '--listen', `127.0.0.1:${port ?? 0}`],
    ...logKeys.flatMap((key) => ['--log-key', key]),
    ...(name === undefined ? [] : ['--name', name]),
  ];
}

/** Starts one and waits until it listens; throws with what it said when it does not. */
export async function startWitness(options: WitnessStart): Promise<WitnessProcess> {
  return await listening(start(witnessArgs(options)));
}

export async function listening(child: ChildProcessWithoutNullStreams): Promise<WitnessProcess> {
  let stderr = '';
  let stdout = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const said = new Promise<{ url: string; key: string }>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      const key = /^public key {2}(\S+)$/m.exec(stdout)?.[1];
      const url = /^listening {3}(\S+)\n/m.exec(stdout)?.[1];
      if (key !== undefined && url !== undefined) resolve({ url, key });
    });
  });
  const first = await Promise.race([said, exited.then(() => undefined)]);
  if (first === undefined) throw new Error(`the witness did not start: ${stderr}`);
  return {
    child,
    ...first,
    option: `${first.url}=${first.key}`,
    stderr: () => stderr,
    end: async (signal = 'SIGTERM') => {
      child.kill(signal);
      const [code] = await exited;
      return code;
    },
  };
}
