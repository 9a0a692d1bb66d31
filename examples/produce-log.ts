import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type AuditEvent, openAuditLog } from '@gatebook/audit';

/**
 * Writes a log of made-up tool calls, with segments and epochs as short as asked, so that a small log has many of both.
 *
 *     node examples/dist/produce-log.js --log DIR --keys DIR [--events 200] [--at-once 8]
 *       [--segment-bytes 104857600] [--epoch-ms 60000] [--pause-ms 0]
 *
 * `--at-once` events are appended together, then all of them are awaited, then `--pause-ms` is waited. Ends with one
 * line of JSON on stdout: what was acknowledged. Appending to a log that is there already goes on with it.
 */

const { values } = parseArgs({
  options: {
    log: { type: 'string' },
    keys: { type: 'string' },
    events: { type: 'string', default: '200' },
    'at-once': { type: 'string', default: '8' },
    'segment-bytes': { type: 'string', default: String(100 * 1024 * 1024) },
    'epoch-ms': { type: 'string', default: '60000' },
    'pause-ms': { type: 'string', default: '0' },
  },
});

function count(name: 'events' | 'at-once' | 'segment-bytes' | 'epoch-ms' | 'pause-ms'): number {
  const value = Number(values[name]);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} is a whole number`);
  return value;
}

/** A call as it is before it is made, told with every member that applies. */
function intent(i: number): AuditEvent {
  return {
    eventType: 'tool_execution',
    actor: {
      channel: 'editor',
      userId: `user-${i % 7}`,
      username: `Ute Ünal ${i % 7}`,
      agent: 'assistant',
      ip: `192.0.2.${i % 200}`,
    },
    sessionId: `session-${Math.floor(i / 40)}`,
    callId: `call-${i}`,
    source: 'filesystem',
    action: {
      phase: 'intent',
      tool: 'write_file',
      resource: `/srv/notes/${i}.txt`,
      arguments: { path: `/srv/notes/${i}.txt`, content: `line ${i}: “quoted”\n` },
      riskLevel: 'medium',
      approved: true,
      allowed: true,
      ...(i < 2 ? {} : { continues: `call-${i - 2}` }),
    },
    security: {
      policyViolation: false,
      rule: 'writes-below-srv',
      reason: 'allowed by rule',
      rateLimitRemaining: 100 - (i % 100),
      sandbox: 'bubblewrap',
      notEnforced: ['network'],
    },
    details: { attempt: i % 3, tags: ['notes', { deep: i }], ratio: 0.5 },
    trace: {
      traceId: i.toString(16).padStart(32, 'a'),
      spanId: i.toString(16).padStart(16, 'b'),
    },
  };
}

function outcome(i: number): AuditEvent {
  const failed = i % 5 === 0;
  return {
    eventType: 'command_execution',
    actor: { userId: `user-${i % 7}` },
    callId: `call-${i}`,
    action: { phase: 'outcome', command: `tar czf /srv/backup/${i}.tgz /srv/notes` },
    result: {
      success: !failed,
      status: failed ? 'error' : 'ok',
      exitCode: failed ? 2 : 0,
      ...(failed ? { signal: 'SIGPIPE', error: 'broken pipe' } : {}),
      durationMs: 12.5 + i,
      output: { bytes: i * 1_000 },
    },
  };
}

function other(i: number): AuditEvent {
  if (i % 2 === 0)
    return { eventType: 'auth_failure', actor: { username: 'root' }, details: { tries: i } };
  return { eventType: 'acme.deploy', details: { version: `1.${i}.0`, hosts: [`a${i}`, `b${i}`] } };
}

function event(i: number): AuditEvent {
  return [intent, outcome, other][i % 3]!(i);
}

async function produce(dir: string, keysDir: string): Promise<number> {
  const log = await openAuditLog({
    dir,
    keysDir,
    emitter: 'produce-log',
    segmentBytesMax: count('segment-bytes'),
    epochMs: count('epoch-ms'),
  });
  let acknowledged = 0;
  try {
    const events = count('events');
    const atOnce = Math.max(1, count('at-once'));
    while (acknowledged < events) {
      const size = Math.min(atOnce, events - acknowledged);
      const group = Array.from({ length: size }, (_, i) => log.append(event(acknowledged + i)));
      await Promise.all(group);
      acknowledged += size;
      await pause(count('pause-ms'));
    }
  } finally {
    await log.close();
  }
  return acknowledged;
}

if (values.log === undefined || values.keys === undefined) {
  throw new Error('give the folders: --log DIR --keys DIR');
}
const acknowledged = await produce(values.log, values.keys);
process.stdout.write(`${JSON.stringify({ acknowledged })}\n`);
