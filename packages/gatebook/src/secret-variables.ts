/** Environment variables that may hold a signing key or its passphrase, as the log itself has it. */
export const secretVariable = /^GATEBOOK_SIGNING_[A-Z0-9_]{1,64}$/;

/** The environment for a command that gatebook starts: without the secrets that the log is signed with. */
export function childEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !secretVariable.test(name)));
}
