import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Folder, readFolder, WorkFolder } from '../attacks/folder.js';
import { finished, linesOf, type Ran } from '../cli/gatebook.js';

export interface User {
  readonly uid: number;
  readonly gid: number;
}

export interface Verified {
  readonly verdict: string;
  readonly code: number | null;
  readonly findings: readonly {
    readonly segment?: string;
    readonly seq?: number;
    readonly offset?: number;
    readonly range?: readonly [number, number];
  }[];
  readonly pruned: readonly {
    readonly range: readonly [number, number];
    readonly reason: string;
    readonly time: string;
  }[];
  readonly forward_security: { readonly on: boolean };
}

/** Folders of one user, who runs `gatebook` on them and knows nothing else of it. */
export class Desk {
  readonly root: string;
  readonly #program: string;
  readonly #user: User | undefined;
  #made = 0;

  constructor(program: string, user: User | undefined) {
    this.#program = program;
    this.#user = user;
    this.root = mkdtempSync(join(tmpdir(), 'gatebook-rows-'));
    this.own(this.root);
  }

  /** A new path that the user may make something at. */
  path(name: string): string {
    return join(this.root, `${this.#made++}-${name}`);
  }

  /** Gives a file or folder, and all that is in it, to the user. */
  own(path: string): void {
    if (this.#user === undefined) return;
    const { uid, gid } = this.#user;
    const inside = readdirSync(path, { recursive: true, encoding: 'utf8' });
    for (const each of [path, ...inside.map((name) => join(path, name))]) chownSync(each, uid, gid);
  }

  start(
    args: readonly string[],
    { user = this.#user, env = {}, before = [] }: StartOptions = {},
  ): ChildProcessWithoutNullStreams {
    const [first = '', ...rest] = [...before, process.execPath, this.#program, ...args];
    const clean = { PATH: process.env['PATH'] ?? '', HOME: join(this.root, 'home') };
    const child = spawn(first, rest, { ...user, cwd: '/', env: { ...clean, ...env } });
    child.stdin.on('error', () => {});
    return child;
  }

  async run(args: readonly string[], input = '', options: StartOptions = {}): Promise<Ran> {
    const child = this.start(args, options);
    child.stdin.end(input);
    return await finished(child);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

export interface StartOptions {
  readonly user?: User | undefined;
  readonly env?: Readonly<Record<string, string>>;
  /** A command that starts the program. */
  readonly before?: readonly string[];
}

/** One log of a desk, whose auditor took the initial key away. */
export class Book {
  readonly desk: Desk;
  readonly log: string;
  readonly keys: string;
  readonly hmacKey: string;

  constructor(desk: Desk, log: string, keys: string, hmacKey: string) {
    this.desk = desk;
    this.log = log;
    this.keys = keys;
    this.hmacKey = hmacKey;
  }

  static async open(desk: Desk): Promise<Book> {
    const place = desk.path('book');
    mkdirSync(place);
    desk.own(place);
    const book = new Book(
      desk,
      join(place, 'log'),
      join(place, 'keys'),
      join(place, 'auditor-key'),
    );
    await book.must(['init']);
    renameSync(join(book.keys, 'initial-hmac-key'), book.hmacKey);
    return book;
  }

  async run(args: readonly string[], input = '', options: StartOptions = {}): Promise<Ran> {
    return await this.desk.run([...args, '--log', this.log, '--keys', this.keys], input, options);
  }

  async must(args: readonly string[], input = '', options: StartOptions = {}): Promise<Ran> {
    const ran = await this.run(args, input, options);
    if (ran.code !== 0) throw new Error(`${args.join(' ')}: exit ${ran.code}: ${ran.stderr}`);
    return ran;
  }

  async record(count: number, options: readonly string[] = [], more: StartOptions = {}) {
    return await this.must(['record', ...options], events(count), more);
  }

  /** The lines of the log as `audit --format json` gives them. */
  async types(): Promise<string[]> {
    const { stdout } = await this.must(['audit', '--format', 'json']);
    return linesOf(stdout).map((line) => (JSON.parse(line) as { event_type: string }).event_type);
  }

  async folder(): Promise<Folder> {
    return await readFolder(this.log);
  }

  /** Verifies a folder, or this log as it lies; by the public key unless `flags` say otherwise. */
  async verify(folder?: Folder, flags: readonly string[] = []): Promise<Verified> {
    let dir = this.log;
    if (folder !== undefined) {
      dir = this.desk.path('copy');
      await new WorkFolder(dir).become(folder);
      chmodSync(dir, 0o700);
      this.desk.own(dir);
    }
    const keys = flags.includes('--no-keys') ? [] : ['--key', join(this.keys, 'public-key')];
    const more = flags.filter((flag) => flag !== '--no-keys');
    const args = ['audit', 'verify', '--json', '--log', dir, '--keys', join(dir, 'none')];
    const ran = await this.desk.run([...args, ...keys, ...more]);
    if (ran.stdout === '') throw new Error(`verify: exit ${ran.code}: ${ran.stderr}`);
    return { ...(JSON.parse(ran.stdout) as Verified), code: ran.code };
  }

  get auditor(): string[] {
    return ['--hmac-key', this.hmacKey];
  }
}

let made = 0;

export function events(count: number): string {
  return Array.from({ length: count }, () => {
    const i = made++;
    return `${JSON.stringify({ event_type: 'tool_execution', actor: { user_id: `u${i % 3}` }, action: { tool: 'echo' }, details: { i } })}\n`;
  }).join('');
}
