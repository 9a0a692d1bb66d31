import { ConfigError, type Fault, type Place } from './fault.js';
import { isKey, type Key, rootSection, type Section } from './keys.js';
import { checkedValue } from './reading.js';
import { notAvailable } from './schema.js';
import { type Node, nodeAt, plainValue, readToml } from './toml.js';
import { tomlName, tomlText } from './toml-text.js';

/** What another program's configuration becomes here. */
export interface Imported {
  readonly toml: string;
  /** What was left out, each with why. */
  readonly skipped: readonly Fault[];
}

/** Names of sections that are others there. */
const sectionNames: ReadonlyMap<string, string> = new Map([['audit_logging', 'audit']]);

/** Keys of the same name that mean something else. */
const otherMeanings: ReadonlyMap<string, string> = new Map([
  [
    'security.audit.log_path',
    'there it is a file of another format, here the folder of a log; name a new one',
  ],
  [
    'security.audit.signing_key_path',
    'there it is the key of an HMAC, here an Ed25519 key; a new log makes its own',
  ],
]);

type Table = Readonly<Record<string, unknown>>;

/**
 * The security section of a picoclaw JSON file or a zeroclaw TOML file as a gatebook.toml.
 *
 * @throws ConfigError when the file is neither, or has no such section
 */
export function importConfig(source: string, bytes: Buffer): Imported {
  const { value, placeOf } = read(source, bytes);
  const found = isTable(value) ? (value['security'] ?? value) : undefined;
  const under = isTable(value) && value['security'] !== undefined ? ['security'] : [];
  const known = [...securitySection.members.keys(), ...sectionNames.keys()];
  if (
    !isTable(found) ||
    !Object.keys(found).some((name) => known.includes(name) || isMissing(name))
  ) {
    const message = 'there is no security section in it, neither picoclaw’s nor zeroclaw’s';
    throw new ConfigError([{ source, place: { line: 1, column: 1 }, message }]);
  }
  const taken = new Map<Key, unknown>();
  const skipped: Fault[] = [];
  const skip = (steps: readonly string[], why: string): void => {
    const message = `${steps.join('.')} is left out: ${why}`;
    skipped.push({ source, place: placeOf(steps), message });
  };
  for (const [name, section] of Object.entries(found)) {
    const steps = [...under, name];
    const target = securitySection.members.get(sectionNames.get(name) ?? name);
    if (isMissing(name)) {
      skip(steps, 'it is not available in this version');
    } else if (target === undefined || isKey(target) || !isTable(section)) {
      skip(steps, 'there is no such section here');
    } else {
      for (const [key, value] of Object.entries(section)) {
        const why = takeKey(taken, target, key, value);
        if (why !== undefined) skip([...steps, key], why);
      }
    }
  }
  return { toml: textOf(completed(taken)), skipped };
}

const securitySection = rootSection.members.get('security') as Section;

function isMissing(name: string): boolean {
  return notAvailable.has(`security.${name}`);
}

/** Takes a key over, or says why not. */
function takeKey(
  taken: Map<Key, unknown>,
  section: Section,
  name: string,
  value: unknown,
): string | undefined {
  const key = section.members.get(name);
  if (key === undefined || !isKey(key)) return 'there is no such key here';
  const other = otherMeanings.get(key.name);
  if (other !== undefined) return other;
  const checked = checkedValue(key, value, '/');
  if ('faults' in checked) return checked.faults.map(({ message }) => message).join('; ');
  taken.set(key, checked.value);
  return undefined;
}

/** Limits are off there unless they are switched on; here that has to be said. */
function completed(taken: Map<Key, unknown>): Map<Key, unknown> {
  const limiting = securitySection.members.get('rate_limiting') as Section;
  const enabled = limiting.members.get('enabled') as Key;
  const limits = [...taken.keys()].some((key) => key.name.startsWith(`${limiting.name}.`));
  return limits && !taken.has(enabled) ? new Map([...taken, [enabled, false]]) : taken;
}

function textOf(taken: ReadonlyMap<Key, unknown>): string {
  const sections = new Map<string, string>();
  for (const [key, value] of taken) {
    const section = key.steps.slice(0, -1).join('.');
    const line = `${tomlName(key.steps.at(-1) ?? '')} = ${tomlText(value)}\n`;
    sections.set(section, (sections.get(section) ?? `[${section}]\n`) + line);
  }
  return [...sections.values()].join('\n');
}

interface Read {
  readonly value: unknown;
  readonly placeOf: (steps: readonly string[]) => Place | undefined;
}

function read(source: string, bytes: Buffer): Read {
  if (/^\s*\{/.test(bytes.toString('utf8', 0, 1000))) return readJson(source, bytes);
  const parsed = readToml(source, bytes);
  if ('fault' in parsed) throw new ConfigError([parsed.fault]);
  const root: Node = parsed.root;
  return { value: plainValue(root), placeOf: (steps) => nodeAt(root, steps).keyPlace };
}

function readJson(source: string, bytes: Buffer): Read {
  try {
    return { value: JSON.parse(bytes.toString('utf8')) as unknown, placeOf: () => undefined };
  } catch (error) {
    const message = `it is no JSON: ${error instanceof Error ? error.message : String(error)}`;
    throw new ConfigError([{ source, place: { line: 1, column: 1 }, message }]);
  }
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
