/**
 * Joins what `tsc -b` made of a package into few files under its `dist/bundle/`: its entry points and what they share.
 * A process with a log has three threads and each loads the package anew; one file of 200 kB loads several times
 * faster than a hundred small ones. Dependencies stay outside. Run as a program it bundles, and vitest calls it before
 * the tests, so that a bundle is never older than the code beside it.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/**
 * The entry points of each package, by the name of their file in the bundle. A thread is one: it is opened by name. `alone`: each has
 * all it needs in its own file, for no process loads two of them into one thread. `groups`: what is loaded together, though bit by bit, is
 * one file, with all it needs that no group before it has.
 *
 * @type {readonly Bundle[]}
 */
const bundles = [
  {
    folder: 'packages/audit/dist',
    alone: true,
    entries: {
      index: 'index.js',
      'writer-thread': 'writer-thread.js',
      'door-thread': 'door-thread.js',
      'verify-thread': 'verify-thread.js',
      'archive-thread': 'archive-thread.js',
    },
  },
  {
    folder: 'packages/ratelimit/dist',
    entries: {
      index: 'index.js',
      http: 'http/index.js',
      'node-http': 'node-http/index.js',
      express: 'express/index.js',
      fastify: 'fastify/index.js',
      hono: 'hono/index.js',
      fetch: 'fetch/index.js',
      redis: 'redis/index.js',
    },
  },
  { folder: 'packages/policy/dist', entries: { index: 'index.js' } },
  {
    folder: 'packages/gatebook/dist',
    entries: { cli: 'cli/main.js' },
    groups: {
      cli: /\/dist\/cli\/main\.js$/,
      shared:
        /\/dist\/(cli\/(config-choice|log-choice|display-width)|open-log|recording|whole-file|gate\/(defaults|person|call-text|events|tty-question))\.js$/,
      gate: /\/dist\/(exec\/run|mcp\/run|cli\/(launch|gate-settings)|gate\/state\/(gate-state|state-folder|quota-journal|operator-door|lost-call-search))\.js$/,
    },
  },
];

/**
 * @typedef {object} Bundle
 * @property {string} folder
 * @property {Record<string, string>} entries
 * @property {boolean} [alone]
 * @property {Record<string, RegExp>} [groups]
 */

/** @param {Bundle} wanted */
async function generate({ folder, entries, alone = false, groups = {} }) {
  if (!alone) return await join(folder, entries, groups);
  const files = new Map();
  for (const [name, file] of Object.entries(entries)) {
    for (const [part, code] of await join(folder, { [name]: file }, groups)) files.set(part, code);
  }
  return files;
}

/**
 * @param {string} folder
 * @param {Record<string, string>} entries
 * @param {Record<string, RegExp>} groups
 */
async function join(folder, entries, groups) {
  const build = await rolldown({
    cwd: path.join(root, folder),
    input: Object.fromEntries(
      Object.entries(entries).map(([name, file]) => [name, path.join(root, folder, file)]),
    ),
    platform: 'node',
    // Whatever is not a file of the package itself.
    external: /^[^./]/,
    onLog(level, log) {
      // What a group joins may be loaded bit by bit in the sources.
      if (log.code === 'INEFFECTIVE_DYNAMIC_IMPORT') return;
      if (level !== 'info' && level !== 'debug') throw new Error(`bundle: ${log.message}`);
    },
  });
  try {
    const { output } = await build.generate({
      format: 'esm',
      chunkFileNames: 'part-[hash].js',
      codeSplitting: {
        groups: Object.entries(groups).map(([name, test], at) => ({
          name,
          test,
          priority: 9 - at,
        })),
      },
    });
    return new Map(
      output.map((file) => [file.fileName, file.type === 'chunk' ? file.code : file.source]),
    );
  } finally {
    await build.close();
  }
}

/**
 * Only what differs is written, whole or not at all: another process may be running from the same folder.
 *
 * @param {string} folder
 * @param {Map<string, string | Uint8Array>} files
 */
function settle(folder, files) {
  fs.mkdirSync(folder, { recursive: true });
  for (const [name, code] of files) {
    const file = path.join(folder, name);
    if (fs.existsSync(file) && fs.readFileSync(file).equals(Buffer.from(code))) continue;
    const draft = `${file}.${process.pid}.tmp`;
    fs.writeFileSync(draft, code);
    fs.renameSync(draft, file);
  }
  for (const name of fs.readdirSync(folder)) {
    if (!files.has(name)) fs.rmSync(path.join(folder, name), { force: true });
  }
}

/** What vitest calls before the first test. */
export async function setup() {
  for (const wanted of bundles) {
    settle(path.join(root, wanted.folder, 'bundle'), await generate(wanted));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await setup();
