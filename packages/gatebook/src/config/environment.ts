import type { Fault } from './fault.js';
import { type Key, keyByVariable, rootSection, unavailableIn } from './keys.js';
import { variablePrefix } from './names.js';
import { didYouMean } from './near.js';
import { checkedValue, type Given, type Reading } from './reading.js';
import { type Node, plainValue, readToml } from './toml.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment says: a variable for every key. An empty one counts as not set, as it mostly is meant. */
export function readEnvironment(env: Environment, folder: string): Reading {
  const given: Given[] = [];
  const faults: Fault[] = [];
  for (const [source, text] of Object.entries(env)) {
    if (!source.startsWith(variablePrefix) || text === undefined || text === '') continue;
    const key = keyByVariable.get(source);
    if (key === undefined) {
      faults.push({ source, message: unknownVariable(source) });
      continue;
    }
    const read = key.form === 'toml' ? tomlValue(source, text) : { value: scalar(key, text) };
    if ('fault' in read) {
      faults.push(read.fault);
      continue;
    }
    const checked = checkedValue(key, read.value, folder);
    if ('value' in checked) given.push({ key, value: checked.value, source });
    else faults.push(...checked.faults.map(({ message }) => ({ source, message })));
  }
  return { given, faults };
}

function unknownVariable(name: string): string {
  const steps = name.slice('GATEBOOK_'.length).toLowerCase();
  const section = unavailableIn(rootSection).find((each) =>
    `${steps}_`.startsWith(`${each.replace('.', '_')}_`),
  );
  if (section !== undefined) return `[${section}] is not available in this version`;
  const known = [...keyByVariable.keys()];
  return `there is no key of this name${didYouMean(name, known)}`;
}

function scalar({ form }: Key, text: string): unknown {
  if (form === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  if (form === 'number' && /^-?\d{1,17}(\.\d{1,17})?$/.test(text)) return Number(text);
  return text;
}

const assignment = 'value = ';

function tomlValue(source: string, text: string): { value: unknown } | { fault: Fault } {
  const parsed = readToml(source, Buffer.from(`${assignment}${text}\n`));
  if ('fault' in parsed) {
    const { line, column } = parsed.fault.place!;
    const place = { line, column: line === 1 ? Math.max(1, column - assignment.length) : column };
    return { fault: { ...parsed.fault, place } };
  }
  const { content } = parsed.root;
  const members = content.kind === 'table' ? content.members : new Map<string, Node>();
  if (members.size === 1) return { value: plainValue(members.get('value')!) };
  return { fault: { source, message: 'it must be one TOML value, such as ["a", "b"]' } };
}
