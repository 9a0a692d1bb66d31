import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { houseRoot } from './root.js';

/** The commands of a shell script, one a line, without comments. */
function commands(script: string): string[] {
  return script
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** The commands a Markdown text shows, in fenced blocks and in code spans, split where they are joined. */
function shownCommands(markdown: string): string[] {
  const fences = [...markdown.matchAll(/^```(?:sh|bash|console|shell)\n([\s\S]*?)^```/gm)];
  const blocks = fences.flatMap((fence) => commands(fence[1] ?? ''));
  const spans = [...markdown.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`([^`\n]+)`/g)];
  return [...blocks, ...spans.map((span) => span[1] ?? '')]
    .flatMap((line) => line.replace(/\s#.*$/, '').split('&&'))
    .map((command) => command.replace(/^\s*\$\s/, '').trim());
}

function testCommands(markdown: string): string[] {
  return shownCommands(markdown).filter((command) => /^npm (run )?test$/.test(command));
}

describe('.ci/run', () => {
  const run = commands(readFileSync(join(houseRoot, '.ci/run'), 'utf8'));
  const manifest = JSON.parse(readFileSync(join(houseRoot, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };

  test('stops at the first command that fails', () => {
    expect(run[0]).toMatch(/^set -e/);
  });

  test('calls npm test, and then lint and types', () => {
    const places = ['npm test', 'npm run lint', 'npm run types'].map((line) => run.indexOf(line));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });

  test('calls the test command that the README shows', () => {
    const shown = testCommands(readFileSync(join(houseRoot, 'README.md'), 'utf8'));
    expect(shown, 'the README must show how the tests are run').not.toEqual([]);
    for (const command of shown) expect(run).toContain(command);
  });

  test('npm test builds and runs every test', () => {
    expect(manifest.scripts['test']).toBe('npm run build && vitest run');
  });
});

test('a test command is found wherever a README shows it', () => {
  const fenced = 'Try:\n\n```sh\n$ npm ci && npm test   # a minute\n```\n';
  expect(testCommands(fenced)).toEqual(['npm test']);
  expect(testCommands('Run `npm ci && npm run test` there.')).toEqual(['npm run test']);
  expect(testCommands('npm test\n```sh\n# npm test\nnpm run tests\n```\n')).toEqual([]);
});
