import { z } from 'zod';
import type { Camel } from './camel.js';
import { audit } from './schema-audit.js';
import { approval, policy, runaway } from './schema-gate.js';
import { rateLimiting } from './schema-limits.js';

/**
 * Everything that can be configured, under the names of `gatebook.toml`. The types, the defaults, the environment variables, the
 * JSON Schema and docs/config.md come from here.
 */
export const schema = z.strictObject({
  security: z
    .strictObject({
      audit: audit.prefault({}).describe('The log: where it is and how it is kept.'),
      rate_limiting: rateLimiting
        .prefault({})
        .describe(
          'How many calls pass. The options `--limit`, `--limit-per-user` and `--limit-tool` are in the place of all limits here. What Redis is for: [gate.md](gate.md#limits-in-redis).',
        ),
      policy: policy
        .prefault({})
        .describe('What is allowed, asked about or denied ([policy.md](policy.md)).'),
      approval: approval.prefault({}).describe('How a person is asked.'),
      runaway: runaway
        .prefault({})
        .describe(
          'When a session is stopped. A session is `--session`, else the process that started the gate.',
        ),
    })
    .prefault({}),
});

/** The whole configuration, with defaults filled in. */
export type Config = Camel<z.output<typeof schema>>;

export type AuditConfig = Config['security']['audit'];
export type RateLimitingConfig = Config['security']['rateLimiting'];
export type PolicyConfig = Config['security']['policy'];

/** Sections that have a name and nothing behind it yet. A key without an effect would be a promise that nobody keeps. */
export const notAvailable: ReadonlySet<string> = new Set([
  'security.credential_encryption',
  'security.prompt_injection',
  'security.resources',
  'security.sandbox',
  'security.ssrf',
]);
