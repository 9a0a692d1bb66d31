import type * as Cedar from '@cedar-policy/cedar-wasm/nodejs';
import { PolicyError } from '../errors.js';

export type CedarModule = typeof Cedar;

/**
 * Cedar is 4 MB of WebAssembly, so it is loaded when the first policy needs it: about 70 ms.
 */
export async function loadCedar(): Promise<CedarModule> {
  return await import('@cedar-policy/cedar-wasm/nodejs');
}

/** What a policy may speak of. */
export const cedarSchema = `// Who makes the call.
entity Actor;
// The tool: Tool::"exec" for commands, Tool::"server/tool" for those of a server. Its tags are the call's arguments as
// text, by JSON pointer: resource.hasTag("/path") && resource.getTag("/path") like "*.md"
entity Tool { name: String, server: String } tags String;
type Call = {
  // exec, file or tool
  kind: String,
  // low, medium, high or critical, and the same as a number from 0 to 3
  risk: String,
  level: Long,
  // The rule that counts most ("" when there is none), and all that were found.
  rule: String,
  rules: Set<String>,
  // The command line, the simple commands in it, and the names of their programs.
  command: String,
  commands: Set<String>,
  programs: Set<String>,
  // The paths that the call names, in one spelling each.
  paths: Set<String>,
  // The patterns of the lists that touch the call, and whether the allow list covers all of it.
  matches: Set<String>,
  covered: Bool,
};
action run, run_after_yes appliesTo { principal: Actor, resource: Tool, context: Call };
`;

/** A text as it stands in a policy, with everything that could end it written as an escape. */
export function cedarString(text: string): string {
  let quoted = '"';
  for (const letter of text.toWellFormed()) {
    const code = letter.codePointAt(0)!;
    const plain =
      code >= 0x20 && code < 0x7f && letter !== '"' && letter !== '\\' && letter !== '*';
    quoted += plain || letter === '*' ? letter : `\\u{${code.toString(16)}}`;
  }
  return `${quoted}"`;
}

export interface CedarPolicy {
  /** What a decision calls it: its `@id`, or its file and line. */
  id: string;
  text: string;
  /** True when it may say something else to `run_after_yes` than to `run`. */
  tellsActionsApart: boolean;
}

/**
 * The policies of a file.
 *
 * @throws PolicyError `bad_policy` with the line and column of the first thing that is wrong.
 */
export function readCedarFile(cedar: CedarModule, file: string, text: string): CedarPolicy[] {
  const fail = (message: string, at: number | undefined, help: string | null): never => {
    const place = at === undefined ? file : `${file}:${placeOf(text, at)}`;
    const hint = help === null || help === '' ? '' : ` (${help})`;
    throw new PolicyError('bad_policy', `${place}: ${message}${hint}`);
  };
  const parts = cedar.policySetTextToParts(text);
  const parsed = cedar.checkParsePolicySet({ staticPolicies: text });
  if (parts.type === 'failure' || parsed.type === 'failure') {
    const errors =
      parsed.type === 'failure' ? parsed.errors : parts.type === 'failure' ? parts.errors : [];
    const first = errors[0];
    const label = first?.sourceLocations?.[0];
    fail(first?.message ?? 'cannot be parsed', offsetOf(text, label?.start), first?.help ?? null);
  }
  const checked = cedar.validate({
    schema: cedarSchema,
    policies: { staticPolicies: text },
    validationSettings: { mode: 'strict' },
  });
  if (checked.type === 'failure') {
    fail(checked.errors[0]?.message ?? 'cannot be checked', undefined, null);
  } else if (checked.validationErrors.length > 0) {
    const { error } = checked.validationErrors[0]!;
    const start = error.sourceLocations?.[0]?.start;
    fail(error.message.replace(/^for policy `policy\d+`, /, ''), offsetOf(text, start), error.help);
  }
  return parts.type === 'success' ? named(cedar, file, text, parts.policies) : [];
}

/** Cedar counts bytes of UTF-8; text counts UTF-16 units. */
function offsetOf(text: string, bytes: number | undefined): number | undefined {
  if (bytes === undefined) return undefined;
  return Buffer.from(text).subarray(0, bytes).toString().length;
}

function placeOf(text: string, at: number): string {
  const before = text.slice(0, at).split('\n');
  return `${before.length}:${before.at(-1)!.length + 1}`;
}

function named(
  cedar: CedarModule,
  file: string,
  text: string,
  policies: readonly string[],
): CedarPolicy[] {
  const used = new Map<string, number>();
  return policies.map((policy) => {
    const json = cedar.policyToJson(policy);
    const conditions = json.type === 'success' ? JSON.stringify(json.json.conditions) : '';
    const tellsActionsApart = /run_after_yes/.test(policy) || conditions.includes('"Var":"action"');
    const own = json.type === 'success' ? json.json.annotations?.['id'] : undefined;
    const from = used.get(policy) ?? 0;
    const at = text.indexOf(policy, from);
    used.set(policy, at + 1);
    return {
      id: own ?? `${file}:${placeOf(text, Math.max(0, at))}`,
      text: policy,
      tellsActionsApart,
    };
  });
}
