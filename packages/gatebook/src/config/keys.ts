import { z } from 'zod';
import { unwrapped } from './camel.js';
import { type KeyFacts, keyFacts } from './key.js';
import { notAvailable, schema } from './schema.js';

/** How the text of an environment variable is read: as itself, or as a TOML value. */
export type TextForm = 'text' | 'boolean' | 'number' | 'toml';

/** One thing that can be configured. */
export interface Key extends KeyFacts {
  /** `security.audit.retention_days` */
  readonly name: string;
  readonly path: boolean;
  readonly steps: readonly string[];
  /** `GATEBOOK_SECURITY_AUDIT_RETENTION_DAYS` */
  readonly variable: string;
  readonly schema: z.core.$ZodType;
  readonly form: TextForm;
  /** Undefined where `unset` says what holds. */
  readonly usual: unknown;
}

/** A table of keys and further sections; nothing else may stand in it. */
export interface Section {
  readonly name: string;
  readonly help: string;
  readonly members: ReadonlyMap<string, Key | Section>;
}

export const rootSection = sectionOf(schema, []);

/** All keys, in the order of the schema. */
export const keys: readonly Key[] = keysIn(rootSection);

export const keyByVariable: ReadonlyMap<string, Key> = new Map(
  keys.map((key) => [key.variable, key]),
);

export function isKey(member: Key | Section): member is Key {
  return 'variable' in member;
}

/** The sections that are known by name only, below this one. */
export function unavailableIn({ name }: Section): string[] {
  const prefix = name === '' ? '' : `${name}.`;
  return [...notAvailable]
    .filter((each) => each.startsWith(prefix))
    .map((each) => each.slice(prefix.length));
}

function sectionOf(table: z.core.$ZodType, steps: readonly string[]): Section {
  const members = new Map<string, Key | Section>();
  const inner = unwrapped(table);
  if (!(inner instanceof z.ZodObject)) throw new Error(`${steps.join('.')} is no section`);
  for (const [name, member] of Object.entries<z.ZodType>(inner.shape)) {
    const facts = keyFacts.get(member);
    const below = [...steps, name];
    members.set(name, facts === undefined ? sectionOf(member, below) : keyOf(member, facts, below));
  }
  const help = table instanceof z.ZodType ? (table.description ?? '') : '';
  return { name: steps.join('.'), help, members };
}

function keyOf(member: z.ZodType, facts: KeyFacts, steps: readonly string[]): Key {
  return {
    ...facts,
    name: steps.join('.'),
    path: facts.path === true,
    steps,
    variable: `GATEBOOK_${steps.join('_').toUpperCase()}`,
    schema: member,
    form: formOf(unwrapped(member)),
    usual: member.parse(undefined),
  };
}

function formOf(inner: z.core.$ZodType): TextForm {
  if (inner instanceof z.ZodBoolean) return 'boolean';
  if (inner instanceof z.ZodNumber) return 'number';
  if (inner instanceof z.ZodString || inner instanceof z.ZodEnum) return 'text';
  return 'toml';
}

function keysIn({ members }: Section): Key[] {
  return [...members.values()].flatMap((member) => (isKey(member) ? [member] : keysIn(member)));
}
