// Control characters (C0, DEL, C1), format characters (bidi overrides and isolates, zero-width ones, tags), line and
// paragraph separators, lone surrogates, and what fonts draw as nothing.
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const plain = /^[\x20-\x7e]*$/;

const shortForms: ReadonlyMap<string, string> = new Map([
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

/**
 * Text in which everything a terminal would act on or not show stands as an escape (`\x1b`, `\n`, `\u{202e}`), so that
 * a record cannot move the cursor, reorder the line or pass for another record.
 */
export function visible(text: string): string {
  if (plain.test(text)) return text;
  return text.replace(unseen, escapeOf);
}

function escapeOf(character: string): string {
  const short = shortForms.get(character);
  if (short !== undefined) return short;
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
