import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { unwrapped } from './camel.js';
import type { Fault, Place } from './fault.js';
import { keyFacts } from './key.js';
import { isKey, type Key, rootSection, type Section, unavailableIn } from './keys.js';
import { didYouMean } from './near.js';
import { type Node, nodeAt, plainValue, readToml } from './toml.js';

/** A key's value as one source gives it. */
export interface Given {
  readonly key: Key;
  readonly value: unknown;
  /** A file's path, or a variable's name. */
  readonly source: string;
  /** Of the key's name; absent in the environment. */
  readonly place?: Place | undefined;
}

export interface Reading {
  readonly given: readonly Given[];
  readonly faults: readonly Fault[];
}

/** What a configuration file says, and all that is wrong with it. Relative paths in it begin in `folder`. */
export function readConfigText(source: string, bytes: Buffer, folder: string): Reading {
  const parsed = readToml(source, bytes);
  if ('fault' in parsed) return { given: [], faults: [parsed.fault] };
  const reader = new Reader(source, folder);
  reader.section(rootSection, parsed.root);
  return reader;
}

class Reader implements Reading {
  readonly given: Given[] = [];
  readonly faults: Fault[] = [];
  readonly #source: string;
  readonly #folder: string;

  constructor(source: string, folder: string) {
    this.#source = source;
    this.#folder = folder;
  }

  section(section: Section, { content, place }: Node): void {
    if (content.kind !== 'table') {
      this.#fault(place, `${section.name} must be a table: write [${section.name}]`);
      return;
    }
    for (const [name, node] of content.members) {
      const member = section.members.get(name);
      if (member === undefined) this.#fault(node.keyPlace, unknown(section, name));
      else if (isKey(member)) this.#value(member, node);
      else this.section(member, node);
    }
  }

  #value(key: Key, node: Node): void {
    const checked = checkedValue(key, plainValue(node), this.#folder);
    if ('faults' in checked) {
      for (const { path, message, atKey } of checked.faults) {
        const at = nodeAt(node, path);
        this.#fault(atKey ? at.keyPlace : at.place, message);
      }
      return;
    }
    this.given.push({ key, value: checked.value, source: this.#source, place: node.keyPlace });
  }

  #fault(place: Place, message: string): void {
    this.faults.push({ source: this.#source, place, message });
  }
}

function unknown(section: Section, name: string): string {
  const full = section.name === '' ? name : `${section.name}.${name}`;
  const unavailable = unavailableIn(section);
  if (unavailable.includes(name)) return `[${full}] is not available in this version`;
  const known = [...section.members.keys(), ...unavailable];
  const where = section.name === '' ? '' : ` in [${section.name}]`;
  return `unknown key ${JSON.stringify(name)}${where}${didYouMean(name, known)}`;
}

interface ValueFault {
  /** Inside of the value. */
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** It is the name at the end of the path that is wrong, not what is behind it. */
  readonly atKey?: boolean;
}

type Checked = { readonly value: unknown } | { readonly faults: readonly ValueFault[] };

/** The value as it is taken, or what is wrong with it. Relative paths in it begin in `folder`. */
export function checkedValue(key: Key, value: unknown, folder: string): Checked {
  const parsed = z.safeParse(key.schema, value);
  if (parsed.success) return { value: key.path ? absolute(parsed.data, folder) : parsed.data };
  // A wrong type may fail at several checks; one word about it is enough.
  const faults = new Map<string, ValueFault>();
  for (const issue of parsed.error.issues) {
    for (const fault of faultsOf(key, value, issue)) {
      faults.set(`${fault.path.join('.')}: ${fault.message}`, fault);
    }
  }
  return { faults: [...faults.values()] };
}

function faultsOf(key: Key, value: unknown, issue: z.core.$ZodIssue): ValueFault[] {
  const { path } = issue;
  if (issue.code === 'unrecognized_keys') {
    const inner = unwrapped(schemaAt(key.schema, path));
    const known = inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
    return issue.keys.map((name) => ({
      path: [...path, name],
      message: `unknown key ${JSON.stringify(name)} in ${nameAt(key, path)}${didYouMean(name, known)}`,
      atKey: true,
    }));
  }
  const { wanted, steps } = wantedAt(key, path);
  const got = key.secret === true ? 'what it is' : shown(valueAt(value, steps));
  return [{ path, message: `${nameAt(key, steps)} must be ${wanted}, not ${got}` }];
}

/** What is accepted at the end of a path, or at the last place before it that says so. */
function wantedAt(
  key: Key,
  path: readonly PropertyKey[],
): { wanted: string; steps: readonly PropertyKey[] } {
  for (let length = path.length; length > 0; length--) {
    const steps = path.slice(0, length);
    const facts = keyFacts.get(schemaAt(key.schema, steps));
    if (facts !== undefined) return { wanted: facts.wanted, steps };
  }
  return { wanted: key.wanted, steps: [] };
}

function schemaAt(schema: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType {
  let at = schema;
  for (const step of path) {
    const inner = unwrapped(at);
    let next: z.core.$ZodType | undefined;
    if (inner instanceof z.ZodObject) next = inner.shape[String(step)];
    else if (inner instanceof z.ZodRecord) next = inner.valueType;
    else if (inner instanceof z.ZodArray) next = inner.element;
    if (next === undefined) return at;
    at = next;
  }
  return at;
}

function nameAt(key: Key, path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (name, step) => (typeof step === 'number' ? `${name}[${step}]` : `${name}.${String(step)}`),
    key.name,
  );
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Record<PropertyKey, unknown>)[step];
  }
  return at;
}

const shownCharsMax = 60;

function shown(value: unknown): string {
  if (value === undefined) return 'left out';
  if (value instanceof Date) return 'a date';
  if (typeof value === 'bigint' || typeof value === 'number') return String(value);
  const words = JSON.stringify(value, (_, part) =>
    typeof part === 'bigint' ? String(part) : part,
  );
  return words.length > shownCharsMax ? `${words.slice(0, shownCharsMax)}…` : words;
}

function absolute(value: unknown, folder: string): unknown {
  if (Array.isArray(value)) return value.map((item) => absolute(item, folder));
  if (typeof value !== 'string') return value;
  if (value === '~' || value.startsWith('~/')) return join(homedir(), value.slice(2));
  return resolve(folder, value);
}
