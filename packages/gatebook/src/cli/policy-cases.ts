import { readFile } from 'node:fs/promises';
import type { ToolCall } from '@gatebook/policy';
import { getStaticTOMLValue, parseTOML } from 'toml-eslint-parser';
import { z } from 'zod';
import { codeOf, reasonOf, usageError } from './failure.js';
import { toolOf } from './policy-explain.js';

const caseSchema = z
  .strictObject({
    name: z.string().optional(),
    command: z.string().optional(),
    tool: z.string().optional(),
    server: z.string().optional(),
    actor: z.string().optional(),
    arguments: z.unknown().optional(),
    annotations: z
      .strictObject({
        readOnlyHint: z.boolean().optional(),
        destructiveHint: z.boolean().optional(),
        idempotentHint: z.boolean().optional(),
        openWorldHint: z.boolean().optional(),
      })
      .optional(),
    decision: z.enum(['allow', 'ask', 'deny']).optional(),
    risk: z.enum(['low', 'medium', 'high', 'critical']).optional(),
    rule: z.string().optional(),
  })
  .refine(({ command, tool }) => (command === undefined) !== (tool === undefined), {
    message: 'needs either a command or a tool',
  })
  .refine(
    ({ decision, risk, rule }) =>
      decision !== undefined || risk !== undefined || rule !== undefined,
    {
      message: 'says nothing to hold the policy to: decision, risk or rule',
    },
  );

export interface PolicyCase {
  /** What the case is called in what is printed. */
  name: string;
  call: ToolCall;
  expected: { decision?: string | undefined; risk?: string | undefined; rule?: string | undefined };
}

const bytesMax = 16 * 1024 * 1024;

/**
 * The cases of a table.
 *
 * @throws a usage error that names the case or line that is wrong
 */
export async function readCases(path: string): Promise<PolicyCase[]> {
  const text = await readText(path);
  const cases = /\.toml$/i.test(path) ? tomlCases(path, text) : jsonCases(path, text);
  if (cases.length === 0) throw usageError(`${path}: holds no case`);
  return cases.map(({ where, value }) => caseOf(where, value));
}

async function readText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > bytesMax) throw usageError(`${path}: is larger than ${bytesMax} bytes`);
    return bytes.toString('utf8');
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    throw usageError(`${path}: ${reasonOf(error)}`, error);
  }
}

interface Raw {
  where: string;
  value: unknown;
}

function tomlCases(path: string, text: string): Raw[] {
  let table: Record<string, unknown>;
  try {
    table = getStaticTOMLValue(parseTOML(text, { tomlVersion: '1.0' })) as Record<string, unknown>;
  } catch (error) {
    const place = error as { lineNumber?: number; column?: number };
    throw usageError(
      `${path}:${place.lineNumber ?? 1}:${(place.column ?? 0) + 1}: ${reasonOf(error)}`,
      error,
    );
  }
  const odd = Object.keys(table).find((key) => key !== 'case');
  if (odd !== undefined) throw usageError(`${path}: ${odd}: only [[case]] tables are known here`);
  const cases = table['case'] ?? [];
  if (!Array.isArray(cases)) throw usageError(`${path}: write [[case]], not [case]`);
  return cases.map((value: unknown, at) => ({ where: `${path}: case ${at + 1}`, value }));
}

function jsonCases(path: string, text: string): Raw[] {
  return text.split('\n').flatMap((line, at) => {
    if (line.trim() === '') return [];
    const where = `${path}:${at + 1}`;
    try {
      return [{ where, value: JSON.parse(line) as unknown }];
    } catch (error) {
      throw usageError(`${where}: ${reasonOf(error)}`, error);
    }
  });
}

function caseOf(where: string, value: unknown): PolicyCase {
  const parsed = caseSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const key = issue?.path.join('.') ?? '';
    throw usageError(`${where}: ${key === '' ? '' : `${key}: `}${issue?.message ?? 'is wrong'}`);
  }
  const { name, command, tool, server, actor, annotations, decision, risk, rule } = parsed.data;
  const named =
    tool === undefined ? { tool: 'exec' } : server === undefined ? toolOf(tool) : { tool };
  const args = command === undefined ? parsed.data.arguments : { command };
  const call = { server, ...named, actor, annotations, arguments: args };
  return { name: name ?? command ?? tool ?? where, call, expected: { decision, risk, rule } };
}
