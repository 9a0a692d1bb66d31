import { describe, expect, it } from 'vitest';
import { readEnvironment } from './environment.js';
import { faultText } from './fault.js';
import { readConfigText } from './reading.js';

function faultsOf(text: string | Buffer): string[] {
  return readConfigText('f', Buffer.from(text), '/folder').faults.map(faultText);
}

function valuesOf(text: string): unknown {
  const { given, faults } = readConfigText('f', Buffer.from(text), '/folder');
  expect(faults).toEqual([]);
  return Object.fromEntries(given.map(({ key, value }) => [key.name.split('.').at(-1), value]));
}

describe('a configuration file', () => {
  it.each([
    ['unknown section', '[securty]\n', 'f:1:2: unknown key "securty"; did you mean security?'],
    [
      'unknown key',
      '\n[security.audit]\n  retension_days = 1\n',
      'f:3:3: unknown key "retension_days" in [security.audit]; did you mean retention_days?',
    ],
    [
      'unknown key that is like none',
      'security.audit.zzzzzzzzzzzz = 1\n',
      'f:1:16: unknown key "zzzzzzzzzzzz" in [security.audit]',
    ],
    [
      'unknown key inside of a list',
      '[security.audit]\nretention_days = 1\nholds = [\n  { actor = "a" },\n  { tol = "b" },\n]\n',
      'f:5:5: unknown key "tol" in security.audit.holds[1]; did you mean tool?',
    ],
    [
      'unknown key of a list of tables',
      '[security.audit]\n[[security.audit.holds]]\nactor = "a"\n[[security.audit.holds]]\ntol = "b"\n',
      'f:5:1: unknown key "tol" in security.audit.holds[1]; did you mean tool?',
    ],
    [
      'wrong type',
      '[security.audit]\narchive = "yes"\n',
      'f:2:11: security.audit.archive must be true or false, not "yes"',
    ],
    [
      'wrong value',
      '[security.audit]\nrotate = "monthly"\n',
      'f:2:10: security.audit.rotate must be "size", "hourly", "daily" or "weekly", not "monthly"',
    ],
    [
      'wrong value in a dotted key of an inline table',
      'security = { audit = { max_records = 0 } }\n',
      'f:1:38: security.audit.max_records must be a whole number from 1, not 0',
    ],
    [
      'number too large to be held',
      '[security.audit]\nmax_records = 9223372036854775807\n',
      'f:2:15: security.audit.max_records must be a whole number from 1, not 9223372036854775807',
    ],
    [
      'not a number',
      '[security.audit]\nmax_size_mb = nan\n',
      'f:2:15: security.audit.max_size_mb must be a number of mebibytes from 0.004 to 1048576, not NaN',
    ],
    [
      'date',
      '[security.audit]\nlog_path = 1979-05-27\n',
      'f:2:12: security.audit.log_path must be the path of a folder, not a date',
    ],
    [
      'value for a section',
      'security.audit = 1\n',
      'f:1:18: security.audit must be a table: write [security.audit]',
    ],
    [
      'section without effect',
      '[security.sandbox]\nbackend = "auto"\n',
      'f:1:11: [security.sandbox] is not available in this version',
    ],
    ['duplicate key', 'a = 1\na = 2\n', 'f:2:1: defining a key multiple times is invalid'],
    ['no TOML', '[security.audit]\n = 3\n', 'f:2:2: unexpected token'],
  ])('tells %s by its place', (_, text, fault) => {
    expect(faultsOf(text)[0]).toMatch(new RegExp(`^${literal(fault)}`));
  });

  it('tells the place of a byte that is no UTF-8', () => {
    const text = Buffer.concat([Buffer.from('a = 1\nb = "'), Buffer.from([0xff])]);
    expect(faultsOf(text)).toEqual(['f:2:6: the bytes here are not UTF-8, which TOML has to be']);
  });

  it('tells all faults at once', () => {
    expect(faultsOf('[security.audit]\na = 1\nrotate = 1\narchive = 2\n')).toHaveLength(3);
  });

  it('shows nothing of a value that may hold a secret', () => {
    const [fault] = faultsOf('[security.audit]\nwitnesses = ["https://ann:hunter2@w/"]\n');
    expect(fault).toMatch(/^f:2:14: security\.audit\.witnesses must be a list .*, not what it is$/);
  });

  it('survives values nested too deep', () => {
    expect(faultsOf(`a = ${'['.repeat(100_000)}${']'.repeat(100_000)}\n`)).toHaveLength(1);
  });

  it('is read with every form that TOML has for the same', () => {
    const dotted = 'security.audit.retention_days = 1\nsecurity.audit.holds = [{ actor = "a" }]\n';
    const tables = '[security.audit]\nretention_days = 1\n[[security.audit.holds]]\nactor = "a"\n';
    expect(valuesOf(dotted)).toEqual({ retention_days: 1, holds: [{ actor: 'a' }] });
    expect(valuesOf(tables)).toEqual(valuesOf(dotted));
  });

  it('has its relative paths in its own folder', () => {
    const text = '[security.audit]\nlog_path = "x/y"\nanchor_files = ["/a", "b"]\n';
    expect(valuesOf(text)).toEqual({ log_path: '/folder/x/y', anchor_files: ['/a', '/folder/b'] });
  });
});

describe('the environment', () => {
  function read(env: Record<string, string>): { faults: string[]; values: unknown } {
    const { given, faults } = readEnvironment(env, '/cwd');
    return {
      faults: faults.map(faultText),
      values: Object.fromEntries(given.map(({ key, value }) => [key.name, value])),
    };
  }
  const at = (name: string): string => `GATEBOOK_SECURITY_AUDIT_${name}`;

  it('has lists and tables as in TOML, all else as plain text', () => {
    const { values, faults } = read({
      [at('ARCHIVE')]: 'true',
      [at('ROTATE')]: 'daily',
      [at('RETENTION_DAYS')]: '0.5',
      [at('LOG_PATH')]: 'x',
      [at('KEEP_TYPES')]: '{ "acme.deploy" = 3 }',
      [at('HOLDS')]: '[{ actor = "a" }]',
      [at('KEYS_PATH')]: '',
      HOME: '/home/a',
    });
    expect(faults).toEqual([]);
    expect(values).toEqual({
      'security.audit.archive': true,
      'security.audit.rotate': 'daily',
      'security.audit.retention_days': 0.5,
      'security.audit.log_path': '/cwd/x',
      'security.audit.keep_types': { 'acme.deploy': 3 },
      'security.audit.holds': [{ actor: 'a' }],
    });
  });

  it.each([
    ['ARCHIV', '1', 'there is no key of this name; did you mean GATEBOOK_SECURITY_AUDIT_ARCHIVE?'],
    ['ARCHIVE', '1', 'security.audit.archive must be true or false, not "1"'],
    ['MAX_RECORDS', '1e3', 'security.audit.max_records must be a whole number from 1, not "1e3"'],
    ['HOLDS', '[1 2]', ':1:4: expected comma (,) token'],
    ['HOLDS', '[]\nx = 1', 'it must be one TOML value, such as ["a", "b"]'],
  ])('%s=%s is told', (name, text, fault) => {
    const { faults } = read({ [at(name)]: text });
    expect(faults).toEqual([
      fault.startsWith(':') ? `${at(name)}${fault}` : `${at(name)}: ${fault}`,
    ]);
  });

  it('has no variable for a section without effect', () => {
    expect(read({ GATEBOOK_SECURITY_SANDBOX_ENABLED: 'true' }).faults).toEqual([
      'GATEBOOK_SECURITY_SANDBOX_ENABLED: [security.sandbox] is not available in this version',
    ]);
  });
});

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
