let given = false;

/** Says, once per start, that the log's initial key still lies on this host, and where. Returns the log. */
export function noticed<
  T extends {
    readonly forwardSecurity: { readonly on: boolean; readonly initialKeyFile?: string };
  },
>(log: T, report: (line: string) => void): T {
  const { on, initialKeyFile } = log.forwardSecurity;
  if (!on && !given) {
    given = true;
    report(`gatebook: forward security off: move ${initialKeyFile ?? 'FILE'} off this host`);
  }
  return log;
}
