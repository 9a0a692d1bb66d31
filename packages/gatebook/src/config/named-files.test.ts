import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { policyOf } from '../gate/rules.js';
import { changeEvent, changesBetween } from './change.js';
import { type Loaded, loadConfig, readTrustable } from './load.js';
import { sha256 } from './sha256.js';
import { trust, trustFolder } from './trust.js';

let folder: string;
let file: string;
let cedar: string;
let env: Readonly<Record<string, string>>;

const forbids = 'forbid (principal, action, resource);\n';
const permits = 'permit (principal, action, resource);\n';

beforeEach(() => {
  folder = fs.mkdtempSync(join(tmpdir(), 'gatebook-named-'));
  onTestFinished(() => fs.rmSync(folder, { recursive: true, force: true }));
  file = join(folder, 'gatebook.toml');
  cedar = join(folder, 'policy.cedar');
  env = { XDG_CONFIG_HOME: join(folder, 'config') };
  fs.writeFileSync(file, '[security.policy]\nfiles = ["policy.cedar"]\n');
  fs.writeFileSync(cedar, forbids);
});

const load = (): Loaded => loadConfig({ env, cwd: folder });

function trustIt(): void {
  const { bytes, named } = readTrustable(file, env)!;
  trust(env, file, bytes, named);
}

test('a project file is trusted with the files it names, as they are', () => {
  trustIt();
  expect(load().config.security.policy.files).toEqual([cedar]);
  expect(load().untrusted).toBeUndefined();
  fs.writeFileSync(cedar, permits);
  expect(load().config.security.policy.files).toEqual([]);
  expect(load().untrusted).toMatchObject({ file, changed: [cedar] });
  fs.rmSync(cedar);
  expect(load().untrusted).toMatchObject({ file, changed: [cedar] });
  fs.writeFileSync(cedar, forbids);
  expect(load().untrusted).toBeUndefined();
});

test('a witness policy that it names is such a file', () => {
  fs.writeFileSync(file, '[security.audit]\nwitness_policy = "policy.cedar"\n');
  trustIt();
  expect(load().config.security.audit.witnessPolicy).toBe(cedar);
  fs.writeFileSync(cedar, permits);
  expect(load().config.security.audit.witnessPolicy).toBeUndefined();
});

test('trust that was given without the files counts for none that names one', () => {
  trustIt();
  const [entry = ''] = fs.readdirSync(trustFolder(env));
  const path = join(trustFolder(env), entry);
  const lines = fs.readFileSync(path, 'utf8').split('\n');
  fs.writeFileSync(path, `${lines.slice(0, 2).join('\n')}\n`);
  expect(load().untrusted).toMatchObject({ file, changed: [cedar] });
});

test('nobody can trust a file that names one that is not there', () => {
  fs.rmSync(cedar);
  expect(() => readTrustable(file, env)).toThrow(`it names ${cedar}, which is not there`);
});

test('what was read when trust was looked at is what decides', async () => {
  trustIt();
  const { config, files } = load();
  const texts = new Map(files.map(({ path, bytes }) => [path, String(bytes)]));
  fs.writeFileSync(cedar, permits);
  const around = { workspace: folder, gateFiles: [] };
  const policy = await policyOf(config.security.policy, around, texts);
  onTestFinished(() => policy.close());
  expect(policy.decide({ tool: 'x' }).decision).toBe('deny');
});

test('a file that is another one is a change, by its hash', () => {
  trustIt();
  const before = load();
  expect(changesBetween(before, load())).toEqual([]);
  fs.writeFileSync(cedar, permits);
  trustIt();
  const changes = changesBetween(before, load());
  expect(changeEvent(changes).details).toMatchObject({
    changes: [{ key: 'security.policy.files', files: [{ path: cedar, sha256: sha256(permits) }] }],
  });
});
