import { visible } from './visible.js';

/** One line on stderr, for people: stdout is for data. */
export function say(message: string): void {
  process.stderr.write(`gatebook: ${visible(message)}\n`);
}

export interface ForwardSecurity {
  readonly on: boolean;
  readonly initialKeyFile?: string | undefined;
}

/** The words for a log's forward security, the same wherever they are shown. */
export function forwardSecurityText(state: ForwardSecurity): string {
  if (state.on) return 'forward security on';
  return `forward security off: move ${state.initialKeyFile ?? 'the initial HMAC key'} off this host`;
}

/** Said once at each start of a command that writes, while the auditor's key still lies on the host. */
export function warnForwardSecurity(state: ForwardSecurity): void {
  if (!state.on) say(forwardSecurityText(state));
}

/** 1234567 → `1,234,567`, for whole numbers. By hand, for loading what `Intl` needs takes a tenth of a command's time. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

export function counted(value: number, one: string, many: string = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
