import { describe, expect, test } from 'vitest';
import { houseRoot } from './root.js';
import { type House, type Manifest, readHouse } from './tree.js';
import { findBreaches, type WallKind } from './walls.js';

test('no import goes through a wall', () => {
  const house = readHouse(houseRoot);
  // An empty or half-read house would have no breaches either.
  expect(house.sources.has('packages/audit/src/index.ts')).toBe(true);
  expect(house.sources.has('conformance/house/walls.test.ts')).toBe(true);
  expect(house.manifests.get('packages/gatebook')?.name).toBe('gatebook');
  const found = findBreaches(house).map(
    ({ kind, file, line, reason }) => `${file}:${line}: ${kind}: ${reason}`,
  );
  expect(found).toEqual([]);
});

test('the log never takes a look that failed for an absence, as existsSync does', () => {
  const { sources } = readHouse(houseRoot);
  const asking = [...sources]
    .filter(([path]) => path.startsWith('packages/audit/src/') && !path.includes('.test.'))
    .filter(([path]) => !path.startsWith('packages/audit/src/testing/'))
    .filter(([, text]) => /\bexistsSync\b/.test(text));
  expect(asking.map(([path]) => path)).toEqual([]);
});

function manifest(name: string, more: Partial<Manifest> = {}): Manifest {
  return { name, dependencies: [], devDependencies: [], exports: ['.'], bins: [], ...more };
}

/** A small house without breaches, and one file more. */
function plant(file: string, text: string): House {
  return {
    manifests: new Map([
      ['', manifest('gatebook-house', { devDependencies: ['vitest', 'pino'] })],
      ['packages/audit', manifest('@gatebook/audit', { dependencies: ['uuid'] })],
      ['packages/policy', manifest('@gatebook/policy', { exports: ['.', './rules'] })],
      ['packages/query', manifest('@gatebook/query', { dependencies: ['@gatebook/audit'] })],
      [
        'packages/gatebook',
        manifest('gatebook', {
          dependencies: ['@gatebook/audit', '@gatebook/policy', 'commander'],
          bins: ['bin/gatebook.js'],
        }),
      ],
      ['bench', manifest('@gatebook/bench')],
      ['examples', manifest('@gatebook/examples')],
      ['conformance', manifest('@gatebook/conformance')],
    ]),
    sources: new Map([
      ['packages/audit/src/index.ts', "export { append } from './log.js';\n"],
      [file, text],
    ]),
  };
}

const cli = '../../../packages/gatebook/bin/gatebook.js';

describe('the check finds a planted breach:', () => {
  const planted: [WallKind, string, string][] = [
    ['room', 'packages/audit/src/a.ts', "import { decide } from '@gatebook/policy';"],
    ['room', 'packages/audit/src/a.ts', "import type { Rule } from '@gatebook/policy';"],
    ['room', 'packages/audit/src/a.ts', "import '@gatebook/secrets';"],
    ['room', 'packages/audit/src/a.test.ts', "import { main } from 'gatebook';"],
    ['room', 'packages/audit/src/a.ts', "const p = await import('@gatebook/policy');"],
    ['room', 'packages/audit/src/a.ts', "export { decide } from '@gatebook/policy';"],
    ['room', 'packages/audit/src/a.ts', "type R = import('@gatebook/policy').Rule;"],
    ['room', 'packages/audit/src/a.ts', "import p = require('@gatebook/policy');"],
    ['room', 'packages/audit/src/a.cts', "const p = require('@gatebook/policy');"],
    ['room', 'packages/audit/src/a.ts', "const f = import.meta.resolve('@gatebook/policy');"],
    ['room', 'packages/query/src/a.ts', "import { decide } from '@gatebook/policy';"],
    ['room', 'packages/query/src/a.ts', "import { main } from 'gatebook';"],
    ['cli_only', 'conformance/a.ts', "import { verifyLog } from '@gatebook/audit';"],
    ['cli_only', 'conformance/a.test.ts', "import { main } from 'gatebook';"],
    ['cli_only', 'conformance/a.ts', "fork('packages/audit/dist/verify.js');"],
    ['deep_import', 'packages/gatebook/src/a.ts', "import '@gatebook/audit/dist/chain.js';"],
    ['deep_import', 'bench/a.ts', "import { leaf } from '@gatebook/audit/src/tree.js';"],
    ['deep_import', 'examples/a.ts', "import { x } from '@gatebook/absent';"],
    ['leaves_package', 'packages/audit/src/a.ts', "import '../../policy/src/index.js';"],
    ['leaves_package', 'packages/audit/src/a.ts', "export { x } from '../../../bench/x.js';"],
    ['leaves_package', 'packages/audit/src/a.ts', "import '/opt/x.js';"],
    ['leaves_package', 'packages/audit/src/a.ts', "import 'file:///opt/x.js';"],
    ['leaves_package', 'bench/a.ts', "import { x } from '../packages/audit/dist/tree.js';"],
    [
      'leaves_package',
      'packages/audit/src/a.ts',
      "new Worker(new URL('../../policy/dist/worker.js', import.meta.url));",
    ],
    ['leaves_package', 'packages/audit/src/a.ts', `new URL('${cli}', import.meta.url);`],
    ['leaves_package', 'packages/audit/src/a.ts', '/// <reference path="../../policy/x.d.ts" />'],
    ['undeclared', 'packages/audit/src/a.ts', "import { z } from 'zod';"],
    ['undeclared', 'packages/audit/src/a.ts', "import pino from 'pino';"],
    ['undeclared', 'packages/audit/src/a.ts', "import x from 'uuidx/uuid';"],
    ['undeclared', 'packages/audit/src/a.test.ts', "import fc from 'fast-check';"],
    ['undeclared', 'packages/gatebook/src/a.ts', "import { q } from '@gatebook/query';"],
    ['undeclared', 'bench/a.ts', "import { z } from 'zod';"],
    [
      'undeclared',
      'packages/audit/src/a.ts',
      "const load = createRequire(import.meta.url); load('zod');",
    ],
    ['undeclared', 'packages/audit/src/a.ts', "createRequire(import.meta.url)('zod');"],
    ['undeclared', 'packages/audit/src/a.ts', "require.resolve('zod/package.json');"],
    ['computed', 'packages/audit/src/a.ts', 'await import(name);'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the source of a file.
    ['computed', 'packages/audit/src/a.ts', 'await import(`@gatebook/${name}`);'],
    ['star_export', 'packages/audit/src/a.ts', "export * from './chain.js';"],
    ['star_export', 'packages/audit/src/a.ts', "export * as chain from './chain.js';"],
    ['default_export', 'packages/audit/src/a.ts', 'export default 1;'],
    ['default_export', 'packages/audit/src/a.ts', 'export default function f() {}'],
    ['default_export', 'packages/audit/src/a.ts', 'const a = 1; export { a as default };'],
    ['default_export', 'packages/audit/src/a.cts', 'const a = 1; export = a;'],
  ];
  test.each(planted)('%s in %s: %s', (kind, file, text) => {
    expect(findBreaches(plant(file, `\n${text}\n`))).toMatchObject([{ kind, file }]);
  });

  test('room in a package.json', () => {
    const house = plant('bench/a.ts', '');
    house.manifests.set(
      'packages/audit',
      manifest('@gatebook/audit', { dependencies: ['uuid', '@gatebook/policy'] }),
    );
    expect(findBreaches(house)).toMatchObject([
      { kind: 'room', file: 'packages/audit/package.json' },
    ]);
  });

  test('and says where', () => {
    const text = "import { a } from './a.js';\n\n  import('zod');\n";
    expect(findBreaches(plant('packages/audit/src/a.ts', text))).toMatchObject([{ line: 3 }]);
  });
});

describe('the check lets through what the doors allow:', () => {
  const allowed: [string, string][] = [
    ['packages/audit/src/a.ts', "import { readFile } from 'node:fs/promises';"],
    ['packages/audit/src/a.ts', "import { v7 } from 'uuid'; import './chain.js';"],
    ['packages/audit/src/deep/a.ts', "import '../chain.js'; import m from '../../package.json';"],
    ['packages/audit/src/a.ts', "new Worker(new URL('./worker.js', import.meta.url));"],
    ['packages/audit/src/a.test.ts', "import { test } from 'vitest'; import './chain.js';"],
    ['packages/audit/src/a.test.ts', "new URL('../../../docs/format.md', import.meta.url);"],
    ['packages/audit/src/a.ts', "const text = \"import '@gatebook/policy'\"; // import 'zod'"],
    ['packages/query/src/a.ts', "import { readLines } from '@gatebook/audit';"],
    ['packages/gatebook/src/a.ts', "import { rules } from '@gatebook/policy/rules';"],
    ['packages/gatebook/bin/gatebook.js', "import '../dist/main.js';"],
    ['bench/a.ts', "import { openAuditLog } from '@gatebook/audit'; import pino from 'pino';"],
    ['examples/a.ts', "import { gate } from 'gatebook';"],
    ['conformance/a.test.ts', "import { test } from 'vitest'; import './house/tree.js';"],
    ['conformance/cli/a.ts', `new URL('${cli}', import.meta.url);`],
    ['conformance/a.ts', "spawn('packages/gatebook/bin/gatebook.js');"],
  ];
  test.each(allowed)('%s: %s', (file, text) => {
    expect(findBreaches(plant(file, text))).toEqual([]);
  });
});
