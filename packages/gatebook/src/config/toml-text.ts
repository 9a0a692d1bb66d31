/** A value as TOML has it, in one line. */
export function tomlText(value: unknown): string {
  if (typeof value === 'string') return basicString(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return `[${value.map(tomlText).join(', ')}]`;
  const members = Object.entries(value as object).filter(([, member]) => member !== undefined);
  if (members.length === 0) return '{}';
  return `{ ${members.map(([name, member]) => `${tomlName(name)} = ${tomlText(member)}`).join(', ')} }`;
}

export function tomlName(name: string): string {
  return /^[A-Za-z0-9_-]+$/.test(name) ? name : basicString(name);
}

function basicString(text: string): string {
  // What JSON escapes, TOML reads the same way; DEL it leaves as it is.
  return JSON.stringify(text.toWellFormed()).replaceAll('\x7f', '\\u007f');
}
