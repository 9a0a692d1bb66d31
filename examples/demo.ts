/**
 * The whole of gatebook in one run: a real MCP server and a real MCP client talk through `gatebook mcp`, everything is
 * in the log, one changed byte is found and named, and one record is proved to somebody who has only the public key.
 * Works in a temporary folder and ends with another exit code than 0 if anything is not as it says.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const repository = findRepository(dirname(fileURLToPath(import.meta.url)));
const gatebook = join(repository, 'packages', 'gatebook', 'bin', 'gatebook.js');
const server = join(
  repository,
  'node_modules/@modelcontextprotocol/server-filesystem/dist/index.js',
);

function findRepository(folder: string): string {
  if (existsSync(join(folder, 'packages', 'gatebook', 'bin'))) return folder;
  if (dirname(folder) === folder) throw new Error('packages/gatebook is not above this file');
  return findRepository(dirname(folder));
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function heading(text: string): void {
  say(`\n── ${text} ${'─'.repeat(Math.max(0, 76 - text.length))}`);
}

/** Stops the demo when something is not as it should be. */
function must(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not as it should be: ${what}`);
  say(`✓ ${what}`);
}

interface Folders {
  readonly root: string;
  readonly files: string;
  readonly log: string;
  readonly keys: string;
}

interface Ran {
  readonly code: number | null;
  readonly output: string;
}

/** Runs `gatebook` in the way a user would, and shows it. */
function run(folders: Folders, args: readonly string[], show = true): Ran {
  const { stdout, stderr, status } = spawnSync(process.execPath, [gatebook, ...args], {
    cwd: folders.root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, GATEBOOK_LOG: folders.log, GATEBOOK_KEYS: folders.keys, COLUMNS: '132' },
  });
  if (show) {
    say(`\n$ gatebook ${args.join(' ')}`);
    say(`${stdout}${stderr}`.trimEnd());
  }
  return { code: status, output: stdout + stderr };
}

interface Call {
  readonly tool: string;
  readonly args: Record<string, unknown>;
  readonly fails?: boolean;
}

function callsIn(files: string): Call[] {
  const at = (name: string): string => join(files, name);
  return [
    { tool: 'list_allowed_directories', args: {} },
    { tool: 'create_directory', args: { path: at('reports') } },
    { tool: 'write_file', args: { path: at('reports/q3.md'), content: '# Q3\nrevenue: 42\n' } },
    { tool: 'write_file', args: { path: at('todo.txt'), content: 'call Ada\n' } },
    { tool: 'read_text_file', args: { path: at('reports/q3.md') } },
    { tool: 'read_text_file', args: { path: '/etc/passwd' }, fails: true },
    {
      tool: 'edit_file',
      args: { path: at('todo.txt'), edits: [{ oldText: 'Ada', newText: 'Grace' }] },
    },
    {
      tool: 'edit_file',
      args: { path: at('todo.txt'), edits: [{ oldText: 'not in it', newText: 'x' }] },
      fails: true,
    },
    { tool: 'read_text_file', args: { path: at('missing.txt') }, fails: true },
    { tool: 'move_file', args: { source: at('todo.txt'), destination: at('done.txt') } },
    { tool: 'search_files', args: { path: files, pattern: '**/*.md' } },
    { tool: 'get_file_info', args: { path: at('done.txt') } },
    { tool: 'list_directory', args: { path: files } },
  ];
}

/** A client of the official SDK, started as every MCP client starts a server; the command only has a longer beginning. */
async function talk(folders: Folders): Promise<Call[]> {
  const args = ['mcp', '--user', 'ada', '--channel', 'demo', '--', process.execPath, server];
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [gatebook, ...args, folders.files],
    env: {
      // The server says of its writing tools that they destroy: without this a person would be asked.
      GATEBOOK_SECURITY_POLICY_ALLOW: '["tool:*", "read:/etc/passwd"]',
      PATH: process.env['PATH'] ?? '',
      GATEBOOK_LOG: folders.log,
      GATEBOOK_KEYS: folders.keys,
    },
    stderr: 'ignore',
  });
  say(`$ gatebook ${args.slice(0, 5).join(' ')} -- mcp-server-filesystem FOLDER`);
  const client = new Client({ name: 'demo-agent', version: '1.0.0' });
  await client.connect(transport);
  const { pid } = transport;
  const { tools } = await client.listTools();
  say(`the server has ${tools.length} tools; the client calls some of them:`);
  const calls = callsIn(folders.files);
  for (const call of calls) {
    const result = await client.callTool({ name: call.tool, arguments: call.args });
    const failed = result.isError === true;
    say(`  ${failed ? '✗' : '✓'} ${call.tool}`);
    if (failed !== (call.fails === true)) {
      throw new Error(
        `${call.tool} ${failed ? 'failed' : 'did not fail'}: ${JSON.stringify(result)}`,
      );
    }
  }
  await client.close();
  await ended(pid);
  return calls;
}

/** The SDK does not say when the process it closes has ended; the log is whole only then. */
async function ended(pid: number | null): Promise<void> {
  for (let i = 0; i < 200 && pid !== null; i++) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await sleep(50);
  }
}

interface DemoRecord {
  readonly seq: number;
  readonly event_type: string;
  readonly call_id?: string;
  readonly action?: {
    readonly phase?: string;
    readonly tool?: string;
    readonly arguments?: unknown;
  };
  readonly result?: { readonly success?: boolean };
}

function recordsOf(folders: Folders): DemoRecord[] {
  const { output } = run(folders, ['audit', '--type', 'tool_execution', '--format', 'json'], false);
  return output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as DemoRecord);
}

function showTheLog(folders: Folders, calls: readonly Call[]): DemoRecord {
  must(run(folders, ['audit']).code === 0, 'the log can be listed');
  const records = recordsOf(folders);
  const intents = records.filter((record) => record.action?.phase === 'intent');
  const outcomes = records.filter((record) => record.action?.phase === 'outcome');
  must(
    intents.length === calls.length && outcomes.length === calls.length,
    `${calls.length} calls: ${intents.length} intents, ${outcomes.length} outcomes`,
  );
  must(
    outcomes.every((outcome) => intents.some((intent) => intent.call_id === outcome.call_id)),
    'each outcome belongs to an intent',
  );
  must(
    outcomes.filter((outcome) => outcome.result?.success === false).length ===
      calls.filter((call) => call.fails === true).length,
    'the failed ones are those that failed',
  );
  const secret = intents.find((intent) => String(intent.action?.arguments).includes('/etc/passwd'));
  if (secret === undefined) throw new Error('the attempt on /etc/passwd is not in the log');
  must(true, `the attempt on /etc/passwd is record ${secret.seq}`);
  const verified = run(folders, ['audit', 'verify', '--strict']);
  must(verified.code === 0 && verified.output.startsWith('ok:'), 'verify says ok');
  return secret;
}

/** Turns /etc/passwd into /etc/passwe in the file on disk. */
async function tamper(folders: Folders, record: DemoRecord): Promise<void> {
  const [name] = await readdir(join(folders.log, 'segments'));
  const segment = join(folders.log, 'segments', name!);
  const original = await readFile(segment);
  const at = original.indexOf('/etc/passwd') + '/etc/passw'.length;
  const changed = Buffer.from(original);
  changed[at] = 'e'.charCodeAt(0);
  await writeFile(segment, changed);
  say(`byte ${at} of ${name}: "d" → "e"`);
  const found = run(folders, ['audit', 'verify']);
  must(found.code === 1, 'verify ends with 1');
  must(found.output.startsWith('tampered:'), 'verify says tampered');
  must(
    found.output.includes(name!) && new RegExp(`seq ${record.seq}\\b`).test(found.output),
    `verify names the segment and record ${record.seq}`,
  );
  await writeFile(segment, original);
  say('\nthe byte is restored');
  must(run(folders, ['audit', 'verify', '--strict']).code === 0, 'verify says ok again');
}

async function prove(folders: Folders, record: DemoRecord): Promise<void> {
  const made = run(folders, ['audit', 'prove', '--seq', String(record.seq), '-o', 'attempt.proof']);
  must(made.code === 0, `a proof of record ${record.seq} was made`);
  const proof = join(folders.root, 'attempt.proof');
  const key = join(folders.root, 'public-key');
  await writeFile(key, await readFile(join(folders.keys, 'public-key')));
  await rename(folders.log, `${folders.log}.away`);
  await rename(folders.keys, `${folders.keys}.away`);
  say('\nthe log and its keys are gone; left are the proof and the public key');
  const check = ['audit', 'check-proof', 'attempt.proof', '--key', 'public-key'];
  const checked = run(folders, check);
  must(
    checked.code === 0 && checked.output.includes('/etc/passwd'),
    'the proof holds without the log, and shows the record',
  );
  const text = await readFile(proof, 'utf8');
  await writeFile(proof, text.replace(`index ${record.seq}`, `index ${record.seq + 1}`));
  must(run(folders, check, false).code === 1, 'an edited proof does not hold');
}

async function main(): Promise<void> {
  const began = performance.now();
  const root = await realpath(await mkdtemp(join(tmpdir(), 'gatebook-demo-')));
  const folders = {
    root,
    files: join(root, 'files'),
    log: join(root, 'log'),
    keys: join(root, 'keys'),
  };
  try {
    await mkdir(folders.files);
    heading('1. an MCP client and an MCP server, with gatebook between them');
    const calls = await talk(folders);
    heading('2. every call is in the log, and the log can be verified');
    const record = showTheLog(folders, calls);
    heading('3. one changed byte is found and named');
    await tamper(folders, record);
    heading('4. one record is proved to somebody who has only the public key');
    await prove(folders, record);
    say(`\nall as it should be, in ${((performance.now() - began) / 1000).toFixed(1)} s`);
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`\ndemo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
