/** What a tool says of itself, in the words of MCP. */
export interface ToolAnnotations {
  readOnlyHint?: boolean | undefined;
  destructiveHint?: boolean | undefined;
  idempotentHint?: boolean | undefined;
  openWorldHint?: boolean | undefined;
}

/** A call that somebody wants to make. */
export interface ToolCall {
  /** Who calls; `agent` when left out. */
  actor?: string | undefined;
  /** The tool's name; `exec` for a program that is started. */
  tool: string;
  /** The MCP server that has the tool. */
  server?: string | undefined;
  /** For `exec`: `{ command: string }` or `{ argv: string[] }`; for others whatever they take. */
  arguments?: unknown;
  annotations?: ToolAnnotations | undefined;
}

export type CallKind = 'exec' | 'file' | 'tool';

/** `server/tool`, or the tool's name alone. */
export function callName({ server, tool }: ToolCall): string {
  return server === undefined || server === '' ? tool : `${server}/${tool}`;
}
