import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readLines } from '@gatebook/audit';
import { CliError, codeOf, type FailureExit, reasonOf, usageError } from './failure.js';

/** Fails with a clear message when there is no log to read. */
export async function requireLog(dir: string): Promise<void> {
  await requireFolder(join(dir, 'segments'), dir, 1);
}

/** Fails when `folder` of the log `dir` is not there; `exitCode` is what the command promises for that. */
export async function requireFolder(
  folder: string,
  dir: string,
  exitCode: FailureExit,
): Promise<void> {
  try {
    await readdir(folder);
  } catch (error) {
    const code = codeOf(error);
    const message =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? `there is no log at ${dir}; name it with --log or GATEBOOK_LOG, or make one with gatebook init`
        : `the log at ${dir} cannot be read: ${reasonOf(error)}`;
    throw new CliError(exitCode, message, { cause: error });
  }
}

const headerBytesMax = 65_536;

/**
 * The origin the log in `dir` claims: in the record at seq 0, else in its checkpoint. Undefined when neither says.
 * Nothing is verified here.
 */
export async function claimedOrigin(dir: string): Promise<string | undefined> {
  const first = await firstRecord(dir);
  if (first !== undefined) {
    const origin = openedOrigin(first);
    if (origin !== undefined) return origin;
    // A damaged line still says whose log it was meant to be.
    const match = /"origin":"([A-Za-z0-9.-]+\/gatebook\/[0-9a-f]{32})"/.exec(first);
    if (match) return match[1];
  }
  return await firstLine(join(dir, 'checkpoint'));
}

/** The line at seq 0, wherever it lies. */
async function firstRecord(dir: string): Promise<string | undefined> {
  try {
    for await (const { seq, line } of readLines(dir)) {
      return seq === 0 ? Buffer.from(line).toString('utf8') : undefined;
    }
  } catch {
    // Whatever is wrong with it, the checkpoint may still say whose log it is.
  }
  return undefined;
}

/** `details.origin` of a line, and of no other member that looks like it. */
function openedOrigin(line: string): string | undefined {
  try {
    const record = JSON.parse(line) as { details?: { origin?: unknown } };
    const origin = record.details?.origin;
    return typeof origin === 'string' ? origin : undefined;
  } catch {
    return undefined;
  }
}

async function firstLine(path: string): Promise<string | undefined> {
  const handle = await open(path, 'r').catch(() => undefined);
  if (handle === undefined) return undefined;
  try {
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(headerBytesMax),
      0,
      headerBytesMax,
      0,
    );
    const end = buffer.subarray(0, bytesRead).indexOf(0x0a);
    return end === -1 ? undefined : buffer.toString('utf8', 0, end);
  } finally {
    await handle.close();
  }
}

const namedFileBytesMax = 16 * 1024 * 1024;

/** The text of a file named on the command line; when it cannot be read, the usage was wrong. */
export async function readNamedFile(option: string, path: string): Promise<string> {
  return (await readNamedBytes(option, path)).toString('utf8');
}

export async function readNamedBytes(option: string, path: string): Promise<Buffer> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw usageError(`${option} ${path} cannot be read: ${reasonOf(error)}`, error);
  });
  try {
    const { size } = await handle.stat();
    if (size > namedFileBytesMax) {
      throw usageError(
        `${option} ${path} is larger than ${namedFileBytesMax} bytes; that is no such file`,
      );
    }
    return await handle.readFile();
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw usageError(`${option} ${path} cannot be read: ${reasonOf(error)}`, error);
  } finally {
    await handle.close();
  }
}

/** A small file's text, or undefined when it cannot be read. */
export async function readIfThere(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch(() => undefined);
}
