import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

test('the demo shows what it promises, and leaves nothing behind', { timeout: 120_000 }, () => {
  const temporary = mkdtempSync(join(tmpdir(), 'gatebook-demo-test-'));
  try {
    const demo = join(dirname(fileURLToPath(import.meta.url)), 'demo.js');
    const { status, stdout, stderr } = spawnSync(process.execPath, [demo], {
      encoding: 'utf8',
      env: { ...process.env, TMPDIR: temporary },
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    expect(stdout).toContain('13 calls: 13 intents, 13 outcomes');
    expect(stdout).toContain('tampered: segment 00000000000000000000.jsonl');
    expect(stdout).toContain('an edited proof does not hold');
    expect(readdirSync(temporary)).toEqual([]);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
});
