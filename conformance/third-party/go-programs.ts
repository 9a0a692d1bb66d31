import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { houseRoot } from '../house/root.js';

/** Installs Go from Debian where it is missing; says why it cannot, or nothing. */
export function installGo(): string | undefined {
  const setup = runScript('setup');
  if (setup.status === 0) return undefined;
  return setup.error?.message ?? setup.stderr.trim();
}

/** Builds the Go programs. What does not compile is a defect here, never a reason to skip. */
export function buildGoPrograms(): void {
  const build = runScript('build');
  if (build.status !== 0) throw new Error(`build failed: ${build.error?.message ?? build.stderr}`);
}

function runScript(name: string) {
  const script = join(houseRoot, 'conformance/third-party', name);
  return spawnSync(script, [], { encoding: 'utf8', timeout: 300_000 });
}

/** What `check` prints; the counts say how much was compared. */
export interface CheckReport {
  ok: boolean;
  origin: string;
  size: number;
  root: string;
  records: number;
  segments: number;
  tiles: number;
  hashes: number;
  inclusion: number;
  consistency: number;
  checkpoints: number;
  proofs: number;
  cosigned: number;
  entries: number;
  disagreements: string[];
}

/** Runs the Go program `check`; its exit code must agree with what it says. */
export function runCheck(
  log: string,
  key: string,
  files: { older?: string[]; proofs?: string[]; witness?: string; url?: string } = {},
): CheckReport {
  const args = ['-log', log, '-key', key];
  for (const file of files.older ?? []) args.push('-older', file);
  for (const file of files.proofs ?? []) args.push('-proof', file);
  if (files.witness !== undefined) args.push('-witness', files.witness);
  if (files.url !== undefined) args.push('-url', files.url);
  const run = spawnSync(join(houseRoot, '.cache/third-party/check'), args, {
    encoding: 'utf8',
    timeout: 120_000,
  });
  if (run.error !== undefined || (run.status !== 0 && run.status !== 1)) {
    throw new Error(`check ended with ${run.status}: ${run.error?.message ?? run.stderr}`);
  }
  const report = JSON.parse(run.stdout) as CheckReport;
  if (report.ok !== (run.status === 0)) throw new Error(`check says ok and fails: ${run.stdout}`);
  return report;
}
