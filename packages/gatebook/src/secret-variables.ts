/** Environment variables that may hold a signing key or its passphrase, as the log itself has it. */
export const secretVariable = /^GATEBOOK_SIGNING_[A-Z0-9_]{1,64}$/;

/** The address of the Redis of the limits: who has it, and its password, fills the buckets. */
const redisVariable = 'GATEBOOK_SECURITY_RATE_LIMITING_REDIS_URL';

/** Is set in the environment of all that a gate starts: who has it does not answer for the operator. */
export const gatedVariable = 'GATEBOOK_GATED';

/**
 * The environment for a command that gatebook starts: without the secrets that the log is signed with and the way to the limits'
 * Redis, and marked as started by a gate.
 */
export function childEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const open = Object.entries(env).filter(
    ([name]) => !secretVariable.test(name) && name !== redisVariable,
  );
  return { ...Object.fromEntries(open), [gatedVariable]: '1' };
}
