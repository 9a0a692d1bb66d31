import * as fs from 'node:fs';
import {
  createScanner,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';
import { CliError, codeOf, reasonOf } from '../cli/failure.js';
import { faultText, type Place } from '../config/fault.js';

/** Read whole, so bounded. Claude Code keeps much more than servers in its file. */
export const clientFileBytesMax = 16 * 1024 * 1024;
/** Deeper than any of them; the parser goes down by calling itself. */
const depthMax = 200;

const byteOrderMark = '\uFEFF';

/** A client's configuration file as it was read: JSON, with comments and trailing commas as VS Code has it. */
export interface ClientFile {
  /** As it was named. */
  readonly name: string;
  /** Behind all links. */
  readonly path: string;
  readonly bytes: Buffer;
  readonly mode: number;
  /** Without a byte order mark. */
  readonly text: string;
  readonly mark: boolean;
  readonly root: Node;
}

/**
 * Reads a client's file.
 *
 * @throws CliError that says what is wrong and where, exit code 2
 */
export function readClientFile(name: string, hint: string): ClientFile {
  const path = realPath(name, hint);
  const { bytes, mode } = readBounded(name, path);
  const decoded = decode(name, bytes);
  const mark = decoded.startsWith(byteOrderMark);
  const text = mark ? decoded.slice(1) : decoded;
  return { name, path, bytes, mode, text, mark, root: parse(name, text) };
}

/** The bytes of the file with another text. */
export function bytesOf({ mark }: ClientFile, text: string): Buffer {
  return Buffer.from(mark ? byteOrderMark + text : text, 'utf8');
}

/** Where an offset lies, for people and their editors. */
export function placeAt(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}

function realPath(name: string, hint: string): string {
  try {
    return fs.realpathSync(name);
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') {
      throw refusal(`${name}: there is no such file; ${hint}`, error);
    }
    if (codeOf(error) === 'ELOOP') {
      throw refusal(`${name}: its symbolic links lead in a circle; ${hint}`, error);
    }
    throw refusal(`${name} cannot be read: ${reasonOf(error)}`, error);
  }
}

function readBounded(name: string, path: string): { bytes: Buffer; mode: number } {
  let fd: number;
  try {
    // A pipe in its place must not be waited for.
    fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK);
  } catch (error) {
    throw refusal(`${name} cannot be read: ${reasonOf(error)}`, error);
  }
  try {
    const stat = fs.fstatSync(fd);
    if (!stat.isFile()) throw refusal(`${name} is not a regular file`);
    if (stat.size > clientFileBytesMax) {
      throw refusal(
        `${name} has ${stat.size} bytes, and ${clientFileBytesMax} is the most that is read of such a file`,
      );
    }
    return { bytes: fs.readFileSync(fd), mode: stat.mode & 0o7777 };
  } finally {
    fs.closeSync(fd);
  }
}

function decode(name: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw refusal(`${name} is not UTF-8; save it as that`, error);
  }
}

function parse(name: string, text: string): Node {
  const tooDeep = offsetTooDeep(text);
  if (tooDeep !== undefined) throw faulty(name, text, tooDeep, 'is nested too deeply');
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true, allowEmptyContent: false });
  const [first] = errors;
  if (first !== undefined) {
    throw faulty(name, text, first.offset, `is no JSON here (${printParseErrorCode(first.error)})`);
  }
  if (root?.type !== 'object') throw faulty(name, text, root?.offset ?? 0, 'holds no JSON object');
  return root;
}

function faulty(source: string, text: string, offset: number, what: string): CliError {
  const message = `it ${what}; mend it, nothing was changed`;
  return refusal(faultText({ source, place: placeAt(text, offset), message }));
}

const opening = new Set(['{', '[']);
const closing = new Set(['}', ']']);

/** Where the nesting passes the bound; undefined where it does not. */
function offsetTooDeep(text: string): number | undefined {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (;;) {
    scanner.scan();
    const { length } = text;
    const offset = scanner.getTokenOffset();
    if (scanner.getTokenLength() === 0 && offset >= length) return undefined;
    const token = scanner.getTokenLength() === 1 ? text[offset]! : '';
    if (opening.has(token) && ++depth > depthMax) return offset;
    if (closing.has(token)) depth--;
  }
}

function refusal(message: string, cause?: unknown): CliError {
  return new CliError(2, message, cause === undefined ? undefined : { cause });
}
