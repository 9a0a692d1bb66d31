import { expect, test } from 'vitest';
import { readTrace } from './trace.js';

const hex = (text: string): string =>
  [...Buffer.from(text)].map((c) => `\\x${c.toString(16).padStart(2, '0')}`).join('');

test('a number that one thread is closing while another is given it again belongs to the other', () => {
  const trace = [
    '1 close(21 <unfinished ...>',
    `2 openat(AT_FDCWD, "${hex('/root/keys')}", O_RDONLY) = 21`,
    '1 <... close resumed>) = 0',
    '2 fsync(21) = 0',
    '2 close(21) = 0',
  ].join('\n');
  expect(readTrace(trace, '/root').map((call) => call.kind)).toEqual(['open', 'sync', 'close']);
});

test('what another thread interrupted is one call, where it returned', () => {
  const trace = [
    `2 openat(AT_FDCWD, "${hex('/root/a')}", O_WRONLY|O_CREAT, 0600) = 4`,
    `2 pwrite64(4, "${hex('bytes')}", 5, 0 <unfinished ...>`,
    `1 mkdir("${hex('/root/b')}", 0700) = 0`,
    '2 <... pwrite64 resumed>) = 5',
  ].join('\n');
  expect(readTrace(trace, '/root').map((call) => call.kind)).toEqual(['open', 'mkdir', 'write']);
});
