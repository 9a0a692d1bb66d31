import { parentPort } from 'node:worker_threads';
import { type ChunkTask, ChunkVerifier } from './verify-chunk.js';

/** A thread that checks chunks for `verify.ts`, one after the other. */

const verifier = new ChunkVerifier();

parentPort?.on('message', ({ id, task }: { id: number; task: ChunkTask }) => {
  parentPort?.postMessage({ id, result: verifier.verify(task) });
});
