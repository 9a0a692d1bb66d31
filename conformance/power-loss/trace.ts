/** What a program did to the files below one folder, as strace saw it, in order. */

export type Call =
  | {
      readonly kind: 'open';
      readonly path: string;
      readonly fd: number;
      readonly create: boolean;
      readonly truncate: boolean;
      /** What is written goes to the end of the file. */
      readonly append: boolean;
    }
  | { readonly kind: 'close'; readonly fd: number }
  /** `at` is absent when the bytes go where the file's position is. */
  | {
      readonly kind: 'write';
      readonly fd: number;
      readonly bytes: Buffer;
      readonly at: number | undefined;
    }
  | { readonly kind: 'truncate'; readonly fd: number; readonly size: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'mkdir'; readonly path: string }
  | { readonly kind: 'sync'; readonly fd: number; readonly name: 'fsync' | 'fdatasync' }
  /** A line the program wrote to its stdout. */
  | { readonly kind: 'said'; readonly line: string };

/** All calls that can change a file, so that one which is not understood is noticed. */
export const tracedCalls =
  'open,openat,openat2,creat,close,dup,dup2,dup3,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,rename,renameat,' +
  'renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,fsync,fdatasync,sync_file_range,fallocate,' +
  'copy_file_range,sendfile,syncfs';

interface Event {
  readonly name: string;
  readonly args: string;
  readonly result: number;
  /** For a call that another thread interrupted: where it began. */
  readonly began: number;
}

/** Reads `strace -f -xx -o` output; paths become relative to `root`. Throws for a call it does not understand. */
export function readTrace(text: string, root: string): Call[] {
  const files = new Map<number, string>();
  const placed: { at: number; call: Call }[] = [];
  let said = '';
  for (const [at, event] of events(text)) {
    if (event.result < 0) continue;
    // What a reader of stdout has seen may already bind, so it counts from the beginning of the call.
    if (isStdout(event)) {
      said += bytesOf(event.name, event.args).subarray(0, event.result).toString('utf8');
      const lines = said.split('\n');
      said = lines.pop() ?? '';
      for (const line of lines) placed.push({ at: event.began, call: { kind: 'said', line } });
      continue;
    }
    const call = callOf(event, root, files);
    if (call !== undefined) placed.push({ at, call });
  }
  return placed.sort((a, b) => a.at - b.at).map(({ call }) => call);
}

/** The calls in the order in which they returned, each with its place; a `close` where it began. */
function* events(text: string): Generator<[number, Event]> {
  const unfinished = new Map<string, { head: string; at: number }>();
  let at = 0;
  for (const line of text.split('\n')) {
    at++;
    const [, pid, rest] = /^(\d+) +(.*)$/.exec(line) ?? [];
    if (pid === undefined || rest === undefined || /^[-+]{3}/.test(rest)) continue;
    if (rest.endsWith(' <unfinished ...>')) {
      const head = rest.slice(0, -' <unfinished ...>'.length);
      unfinished.set(pid, { head, at });
      // Another thread may be given the number again before this one returns.
      const closed = /^close\((\d+)/.exec(head)?.[1];
      if (closed !== undefined) yield [at, { name: 'close', args: closed, result: 0, began: at }];
      continue;
    }
    const resumed = /^<\.\.\. (\w+) resumed>(.*)$/.exec(rest);
    if (resumed?.[1] === 'close') continue;
    const begun = resumed === null ? undefined : unfinished.get(pid);
    const whole = begun === undefined ? rest : begun.head + (resumed?.[2] ?? '');
    const [, name, args, result] = /^(\w+)\((.*)\) += (-?\d+|\?)/.exec(whole) ?? [];
    if (name === undefined || args === undefined) throw new Error(`strange trace line: ${line}`);
    // A call that never returned, because the process was killed, may or may not have happened.
    if (result === '?') continue;
    yield [at, { name, args, result: Number(result), began: begun?.at ?? at }];
  }
}

function isStdout({ name, args }: Event): boolean {
  return /^p?writev?(64|2)?$/.test(name) && args.startsWith('1,');
}

function decodeHex(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex');
}

function strings(args: string): Buffer[] {
  return [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g)].map((match) => {
    if (match[2] !== undefined) throw new Error('the trace holds a string that was cut');
    return decodeHex(match[1] ?? '');
  });
}

function bytesOf(name: string, args: string): Buffer {
  const all = strings(args);
  return name.includes('v') ? Buffer.concat(all) : (all[0] ?? Buffer.alloc(0));
}

function callOf(event: Event, root: string, files: Map<number, string>): Call | undefined {
  const { name, args, result } = event;
  if (name === 'openat' || name === 'open') return openOf(event, root, files);
  if (/^(rename|unlink|mkdir|rmdir|symlink)/.test(name)) return entryOf(event, root);
  const fd = Number.parseInt(args, 10);
  if (!files.has(fd)) return undefined;
  switch (name) {
    case 'close':
      files.delete(fd);
      return { kind: 'close', fd };
    case 'write':
    case 'writev':
      return { kind: 'write', fd, bytes: bytesOf(name, args).subarray(0, result), at: undefined };
    case 'pwrite64':
    case 'pwritev':
      return { kind: 'write', fd, bytes: bytesOf(name, args).subarray(0, result), at: last(args) };
    case 'ftruncate':
      return { kind: 'truncate', fd, size: last(args) };
    case 'fsync':
    case 'fdatasync':
      return { kind: 'sync', fd, name };
    default:
      throw new Error(`the model does not know ${name} (on ${files.get(fd)})`);
  }
}

function last(args: string): number {
  return Number(/(\d+)$/.exec(args)?.[1]);
}

function openOf(event: Event, root: string, files: Map<number, string>): Call | undefined {
  const path = below(root, strings(event.args)[0]);
  if (path === undefined) return undefined;
  files.set(event.result, path);
  const has = (flag: string): boolean => event.args.includes(flag);
  const flags = { create: has('O_CREAT'), truncate: has('O_TRUNC'), append: has('O_APPEND') };
  return { kind: 'open', path, fd: event.result, ...flags };
}

function entryOf({ name, args }: Event, root: string): Call | undefined {
  const [first, second] = strings(args).map((path) => below(root, path));
  // The link to the open segment is never read and never synced.
  if (name.startsWith('symlink') || first === undefined || /(^|\/)current(\.tmp)?$/.test(first))
    return undefined;
  if (name.startsWith('mkdir')) return { kind: 'mkdir', path: first };
  if (!name.startsWith('rename')) return { kind: 'remove', path: first };
  if (second === undefined) throw new Error(`${first} is renamed to outside`);
  return { kind: 'rename', from: first, to: second };
}

function below(root: string, path: Buffer | undefined): string | undefined {
  const text = path?.toString('utf8') ?? '';
  if (text === root) return '';
  return text.startsWith(`${root}/`) ? text.slice(root.length + 1).replace(/\/$/, '') : undefined;
}
