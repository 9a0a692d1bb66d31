import { readConfigFile } from './files.js';
import type { Key } from './keys.js';
import { sha256 } from './sha256.js';

/** A file that a configuration names and that decides with it. */
export interface NamedFile {
  readonly path: string;
  /** Undefined where there is none that can be read. */
  readonly bytes: Buffer | undefined;
  readonly sha256: string | undefined;
}

/** Reads what these keys name. Who reads a file twice gets what it was at first: what is looked at is what counts. */
export type NamedReader = (
  given: Iterable<{ readonly key: Key; readonly value: unknown }>,
) => NamedFile[];

export function namedReader(): NamedReader {
  const read = new Map<string, NamedFile>();
  const fileAt = (path: string): NamedFile => {
    const file = read.get(path) ?? readNamed(path);
    read.set(path, file);
    return file;
  };
  return (given) => {
    const paths = [...given].flatMap(({ key, value }) =>
      key.decides === true ? [value].flat() : [],
    );
    const named = paths.filter((path) => typeof path === 'string');
    return [...new Set(named)].map(fileAt);
  };
}

function readNamed(path: string): NamedFile {
  let bytes: Buffer | undefined;
  try {
    bytes = readConfigFile(path);
  } catch {
    // Whoever needs it will say what is wrong with it.
  }
  return { path, bytes, sha256: bytes === undefined ? undefined : sha256(bytes) };
}
