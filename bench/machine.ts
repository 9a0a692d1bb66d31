import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { pino } from 'pino';

/** What a reader must know to compare the numbers with others; each a name and a text. */
export function describeMachine(folder: string): [string, string][] {
  const cpus = os.cpus();
  const sha = cpuFlags().includes('sha_ni') ? 'with' : 'without';
  const load = os.loadavg().map((value) => value.toFixed(1));
  return [
    ['Date', new Date().toISOString().slice(0, 10)],
    ['CPU', `${cpus.length} × ${cpus[0]?.model.trim() ?? 'unknown'}, ${sha} SHA instructions`],
    ['Memory', `${Math.round(os.totalmem() / 1e9)} GB`],
    ['Kernel', `${os.type()} ${os.release()} ${os.arch()}`],
    ['File system', fileSystem(folder)],
    ['Node', `${process.version}, OpenSSL ${process.versions['openssl'] ?? 'unknown'}`],
    ['Peers', `pino ${pino.version}, ${firstLine('sha256sum')}`],
    ['Load average at the start', load.join(' ')],
  ];
}

function cpuFlags(): string[] {
  const text = fs.existsSync('/proc/cpuinfo') ? fs.readFileSync('/proc/cpuinfo', 'latin1') : '';
  return /^flags\s*:(.*)$/m.exec(text)?.[1]?.split(' ') ?? [];
}

/** Type and options of the mount that holds the folder. */
function fileSystem(folder: string): string {
  const mounts = fs.existsSync('/proc/self/mounts')
    ? fs.readFileSync('/proc/self/mounts', 'utf8')
    : '';
  const real = `${fs.realpathSync(folder)}${path.sep}`;
  const holding = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, point]) => point !== undefined && real.startsWith(point.replace(/\/?$/, '/')))
    .sort((a, b) => (a[1]?.length ?? 0) - (b[1]?.length ?? 0))
    .at(-1);
  if (holding === undefined) return 'unknown';
  const [device, , type, options] = holding;
  const memory = type === 'tmpfs' ? '; a file system in memory, where a sync costs nothing' : '';
  return `${type} on ${device} (${options})${memory}`;
}

function firstLine(program: string): string {
  const text = execFileSync(program, ['--version'], { encoding: 'utf8' });
  return text.split('\n')[0] ?? program;
}
