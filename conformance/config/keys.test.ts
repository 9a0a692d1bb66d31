import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { linesOf } from '../cli/gatebook.js';
import { rowsToTry } from '../cli/rows-to-try.js';
import { type Desk, openDesk } from './desk.js';
import { fileOf, type Row, rows } from './table.js';

let desk: Desk;
beforeEach(async () => {
  desk = await openDesk();
});
afterEach(() => desk.remove());

function variableOf({ name }: Row): string {
  return `GATEBOOK_${name.replaceAll('.', '_').toUpperCase()}`;
}

async function show(env: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const ran = await desk.run(['config', 'show', '--json'], env);
  expect(ran.code, ran.stderr).toBe(0);
  return JSON.parse(ran.stdout) as Record<string, unknown>;
}

/** `./x` stands for a path in a folder, `~/x` for one at home. */
function placed(value: unknown, folder: string): unknown {
  if (Array.isArray(value)) return value.map((item) => placed(item, folder));
  if (typeof value !== 'string') return value;
  if (value.startsWith('./')) return join(folder, value);
  return value.startsWith('~/') ? join(desk.folder, value.slice(2)) : value;
}

function column(value: (row: Row) => unknown): Record<string, unknown> {
  return Object.fromEntries(rows.map((row) => [row.name, value(row)]));
}

describe('every key', () => {
  it('is in the table, and has its default', async () => {
    expect(await show()).toEqual(column((row) => row.usual));
  });

  it('is taken from the user’s file', async () => {
    await desk.writeUser(fileOf((row) => row.file[0]));
    expect(await show()).toEqual(column((row) => placed(row.file[1], dirname(desk.userFile))));
  });

  it('is taken from the environment before that', async () => {
    await desk.writeUser(fileOf((row) => row.file[0]));
    const env = Object.fromEntries(rows.map((row) => [variableOf(row), row.env[0]]));
    expect(await show(env)).toEqual(column((row) => placed(row.env[1], desk.cwd)));
  });

  it('refuses a bad value by its place, all of them at once, and nothing is started', async () => {
    const text = fileOf((row) => row.bad);
    await desk.writeUser(text);
    const lines = text.split('\n');
    for (const args of [
      ['config', 'check'],
      ['exec', '--', 'touch', 'started'],
    ]) {
      const ran = await desk.run(args);
      expect(ran.code).toBe(2);
      const told = linesOf(ran.stderr);
      for (const { name } of rows) {
        const key = name.slice(name.lastIndexOf('.') + 1);
        const section = lines.indexOf(`[${name.slice(0, name.lastIndexOf('.'))}]`);
        const line =
          lines.findIndex((each, at) => at > section && each.startsWith(`${key} = `)) + 1;
        const begin = `gatebook: ${desk.userFile}:${line}:`;
        const mine = told.filter((each) => each.startsWith(begin));
        expect(mine, name).toHaveLength(1);
        expect(mine[0]).toMatch(new RegExp(`^.{${begin.length}}\\d+: ${name}\\b`));
      }
      expect(told).toHaveLength(rows.length);
    }
    expect(await desk.run(['exec', '--', 'test', '-e', 'started'])).toMatchObject({ code: 2 });
  });

  it('is in the schema for editors, with its default and its words, and nothing else may be there', async () => {
    interface Part {
      readonly properties?: Readonly<Record<string, Part>>;
      readonly additionalProperties?: unknown;
      readonly default?: unknown;
      readonly description?: string;
    }
    const ran = await desk.run(['config', 'schema']);
    const security = (JSON.parse(ran.stdout) as Part).properties?.['security'];
    for (const { name, usual } of rows) {
      const [, section = '', key = ''] = name.split('.');
      const part = security?.properties?.[section];
      expect(part?.additionalProperties).toBe(false);
      expect(part?.properties?.[key], name).toMatchObject({
        description: expect.stringMatching(/\S/),
        ...(usual === null ? {} : { default: usual }),
      });
    }
    const named = Object.values(security?.properties ?? {}).map((part) =>
      Object.keys(part.properties ?? {}),
    );
    expect(named.flat()).toHaveLength(rows.length);
  });

  it('is shown with its origin', async () => {
    await desk.writeUser(fileOf((row) => row.file[0]));
    const ran = await desk.run(['config', 'show', '--origin']);
    for (const { name } of rows) {
      const key = name.slice(name.lastIndexOf('.') + 1);
      expect(ran.stdout).toMatch(new RegExp(`^${key} = .* # .*config\\.toml:\\d+:1$`, 'm'));
    }
  });
});

describe.concurrent('the effect of', () => {
  it.each(rowsToTry(rows).map((row) => [row.name, row] as const))('%s', async (_, row) => {
    const mine = await openDesk();
    try {
      await row.effect(mine);
    } finally {
      await mine.remove();
    }
  });
});
