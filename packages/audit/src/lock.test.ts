import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { lockHolder, takeLock } from './lock.js';
import { packageRoot, temporaryFolder } from './testing/folders.js';

test('is held once, names its holder, and is free again after release', () => {
  const file = path.join(temporaryFolder(), 'lock');
  expect(lockHolder(file)).toBeUndefined();
  const lock = takeLock(file, 'the log');
  expect(lockHolder(file)).toBe(process.pid);
  expect(() => takeLock(file, 'the log')).toThrow(
    expect.objectContaining({
      code: 'log_locked',
      message: expect.stringContaining(`the log is open in process ${process.pid}`),
    }),
  );
  lock.release();
  expect(lockHolder(file)).toBeUndefined();
  takeLock(file, 'the log').release();
});

test('asking who holds it does not take it away, nor does a refused attempt', () => {
  const file = path.join(temporaryFolder(), 'lock');
  const lock = takeLock(file, 'the log');
  for (let i = 0; i < 5; i++) {
    lockHolder(file);
    expect(() => takeLock(file, 'the log')).toThrow();
  }
  expect(lockHolder(file)).toBe(process.pid);
  lock.release();
});

test('somebody who only asks for the holder does not make a start fail', async () => {
  const file = path.join(temporaryFolder(), 'lock');
  takeLock(file, 'the log').release();
  // Another process asks without a pause while this one takes and releases the lock.
  const module = pathToFileURL(path.join(packageRoot, 'dist', 'lock.js')).href;
  const asking = `import { lockHolder } from ${JSON.stringify(module)}; process.stdout.write('x'); const end = Date.now() + 3000; while (Date.now() < end) lockHolder(${JSON.stringify(file)});`;
  const program = path.join(path.dirname(file), 'ask.mjs');
  fs.writeFileSync(program, asking);
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  for (let i = 0; i < 500; i++) takeLock(file, 'the log').release();
});

test('a killed process holds nothing', async () => {
  const file = path.join(temporaryFolder(), 'lock');
  const module = pathToFileURL(path.join(packageRoot, 'dist', 'lock.js')).href;
  const program = path.join(path.dirname(file), 'hold.mjs');
  fs.writeFileSync(
    program,
    `import { takeLock } from ${JSON.stringify(module)}; takeLock(${JSON.stringify(file)}, 'the log'); process.stdout.write('x'); setInterval(() => {}, 1000);`,
  );
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  expect(lockHolder(file)).toBe(child.pid);
  expect(() => takeLock(file, 'the log')).toThrow(String(child.pid));
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  expect(lockHolder(file)).toBeUndefined();
  takeLock(file, 'the log').release();
});
