import type { Access, NamedPath } from '../paths/access.js';
import type { ToolCall } from './call.js';

const pathNames =
  /^(paths?|files?|file_?paths?|file_?names?|absolute_?path|relative_?path|target_?(file|path)|source|src|destination|dest|from|to|old_?path|new_?path|notebook_?path|dir(ectory)?|folder|uri|root|output(_?(path|file))?|input_?(path|file))$/i;
const readers =
  /(^|[-_/.])(read|get|view|list|ls|search|find|grep|glob|tree|stat|cat|open|show|fetch|load|info|head|tail|exists)([-_/.]|$)|^(Read|Glob|Grep|LS|View|ReadFile|NotebookRead)$|(^|[a-z])(Read|List|Search|View)(?=[A-Z]|$)/;
const listers = /(^|[-_/.])(list|ls|glob|tree|stat|exists|info)([-_/.]|$)|^(LS|Glob)$/i;
const writers =
  /(^|[-_/.])(write|edit|create|delete|remove|move|rename|patch|append|replace|insert|save|put|copy|mkdir|touch|chmod|update|apply|str_replace)([-_/.]|$)|^(Write|Edit|MultiEdit|NotebookEdit|ApplyPatch)$|(^|[a-z])(Write|Edit|Create|Delete|Move)(?=[A-Z]|$)/;
const pathsMax = 256;

/** The paths among a call's arguments, by the names that file tools give them. */
export function fileArguments(call: ToolCall, pairs: ReadonlyMap<string, string>): NamedPath[] {
  const access = accessOf(call.tool);
  const found: NamedPath[] = [];
  for (const [pointer, value] of pairs) {
    if (found.length >= pathsMax) break;
    const names = pointer.split('/').filter((name) => name !== '' && !/^\d+$/.test(name));
    const name = names.at(-1) ?? '';
    if (!pathNames.test(name) || !looksLikePath(value)) continue;
    found.push({ path: value, access });
  }
  return found;
}

/** A tool that does not say by its name that it reads is taken to write. */
export function accessOf(tool: string): Access {
  if (writers.test(tool)) return 'write';
  if (listers.test(tool)) return 'list';
  return readers.test(tool) ? 'read' : 'write';
}

function looksLikePath(value: string): boolean {
  if (value === '' || value.length > 4096 || value.includes('\n')) return false;
  return !/^(?!file:)[a-z][a-z0-9+.-]*:\/\//i.test(value);
}
