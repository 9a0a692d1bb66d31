import type { Decision } from '@gatebook/policy';
import { writeStdout } from './destination.js';
import type { Places } from './places.js';
import { type PolicyCase, readCases } from './policy-cases.js';
import { type PolicyFlags, policyOf } from './policy-options.js';
import { counted } from './talk.js';
import { visible } from './visible.js';

/** `gatebook policy test`: every case of a table, and what became of it. */
export async function testCases(
  path: string,
  flags: PolicyFlags & { readonly json?: boolean },
  places: Places,
): Promise<number> {
  const cases = await readCases(path);
  const policy = await policyOf(flags, places);
  let failed = 0;
  for (const each of cases) {
    const got = policy.decide(each.call);
    const wrong = differences(each, got);
    if (wrong.length > 0) failed++;
    if (flags.json === true) {
      const line = { name: each.name, ok: wrong.length === 0, expected: each.expected, ...got };
      await writeStdout(`${JSON.stringify(line)}\n`);
    } else if (wrong.length > 0) {
      await writeStdout(`failed  ${visible(each.name)}: ${visible(wrong.join(', '))}\n`);
    }
  }
  policy.close();
  process.stderr.write(`${counted(cases.length, 'case')}, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

function differences({ expected }: PolicyCase, got: Decision): string[] {
  const keys = ['decision', 'risk', 'rule'] as const;
  return keys
    .filter((key) => expected[key] !== undefined && expected[key] !== got[key])
    .map((key) => `${key} is ${got[key]}, not ${expected[key]}`);
}
