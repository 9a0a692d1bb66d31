import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename } from 'node:path';
import { createPolicy, type Policy } from '@gatebook/policy';
import type { Config, PolicyConfig } from '../config/schema.js';
import type { GateRules } from '../gate.js';
import { msOfSpan } from '../span.js';
import { gateDefaults } from './defaults.js';
import type { BreakerRules } from './state/breaker.js';

/** What a policy must know of where the gate stands. */
export interface Surroundings {
  /** The folder the agent works in, absolute; undefined where that is not known, as of what an MCP server is given. */
  readonly workspace: string | undefined;
  /** Files and folders of the gate itself: the log, its keys, the configuration. */
  readonly gateFiles: readonly string[];
  /** Files of the gate that lie among those of the work: to be read by the agent, not changed. */
  readonly settingsFiles?: readonly string[] | undefined;
}

/** Texts of Cedar files that were read already, by path. */
export type ReadTexts = ReadonlyMap<string, string>;

/**
 * The rules of a configuration; without one, the defaults.
 *
 * @throws PolicyError where a pattern or a Cedar file is wrong; what the system says where a file cannot be read
 */
export async function rulesOf(
  security: Config['security'] | undefined,
  around: Surroundings,
  texts: ReadTexts = new Map(),
): Promise<GateRules> {
  const { policy, approval, runaway } = security ?? {};
  const decides = policy?.enabled ?? true;
  const breaks = runaway?.enabled ?? true;
  return {
    ...(decides ? { policy: await policyOf(policy ?? {}, around, texts) } : {}),
    ...(breaks ? { breaker: breakerOf(runaway) } : {}),
    approvalMs: msOfSpan(approval?.timeout ?? gateDefaults.approvalTimeout),
    notEnforced: [...(decides ? [] : ['policy']), ...(breaks ? [] : ['runaway'])],
  };
}

/** @throws PolicyError; what the system says where a file cannot be read */
export async function policyOf(
  { deny, ask, allow, askAt, denyAt, files = [] }: Partial<PolicyConfig>,
  { workspace, gateFiles, settingsFiles }: Surroundings,
  texts: ReadTexts,
): Promise<Policy> {
  const read = await Promise.all(
    files.map(async (path) => ({
      name: basename(path),
      text: texts.get(path) ?? (await readFile(path, 'utf8')),
    })),
  );
  const lists = { deny, ask, allow, askAt, denyAt, files: read };
  return await createPolicy({ ...lists, home: homedir(), workspace, gateFiles, settingsFiles });
}

function breakerOf(runaway: Config['security']['runaway'] | undefined): BreakerRules {
  const { identicalCalls, failures, calls, wallTime } = runaway ?? gateDefaultsOfBreaker;
  return {
    identicalCalls,
    failures,
    calls,
    wallMs: wallTime === undefined ? undefined : msOfSpan(wallTime),
  };
}

const gateDefaultsOfBreaker = {
  identicalCalls: gateDefaults.identicalCalls,
  failures: gateDefaults.failures,
  calls: undefined,
  wallTime: undefined,
};
