/** What holds where nothing is configured; the schema of the configuration has it from here. */
export const gateDefaults = {
  approvalTimeout: '45s',
  identicalCalls: 50,
  failures: 25,
} as const;
