import type { Readable } from 'node:stream';
import type { InputLine, LineSplitter } from './input-lines.js';

/**
 * The lines of a stream until it ends or `stop` aborts. After that what was already read from the stream still comes;
 * of a line whose end was not read nothing does.
 */
export async function* linesUntil(
  input: Readable,
  splitter: LineSplitter,
  stop: AbortSignal,
): AsyncGenerator<InputLine> {
  const stopped = new Promise<undefined>((done) => {
    if (stop.aborted) return done(undefined);
    stop.addEventListener('abort', () => done(undefined), { once: true });
  });
  const chunks: AsyncIterator<Buffer> = input[Symbol.asyncIterator]();
  while (!stop.aborted) {
    const next = chunks.next();
    const result = await Promise.race([next, stopped]);
    if (result === undefined) {
      // The stream is destroyed below, which fails the read nobody waits for any more.
      next.catch(() => {});
      break;
    }
    if (result.done) {
      yield* splitter.end();
      return;
    }
    yield* splitter.push(result.value);
  }
  for (;;) {
    const rest: unknown = input.read();
    if (!(rest instanceof Buffer)) break;
    yield* splitter.push(rest);
  }
  input.destroy();
}
