import { join } from 'node:path';

export const clientNames = ['claude-desktop', 'claude-code', 'cursor', 'vscode'] as const;
export type ClientName = (typeof clientNames)[number];

/** An MCP client, as far as its configuration file goes. */
export interface Client {
  readonly name: ClientName;
  readonly title: string;
  /** Where servers stand in its file, as names of members from the root on; `*` stands for any. */
  readonly tables: readonly (readonly string[])[];
  /** A file of the same kind that a project may have, relative to the project. */
  readonly projectFile?: string;
}

const clients: readonly Client[] = [
  { name: 'claude-desktop', title: 'Claude Desktop', tables: [['mcpServers']] },
  {
    name: 'claude-code',
    title: 'Claude Code',
    tables: [['mcpServers'], ['projects', '*', 'mcpServers']],
    projectFile: '.mcp.json',
  },
  {
    name: 'cursor',
    title: 'Cursor',
    tables: [['mcpServers']],
    projectFile: join('.cursor', 'mcp.json'),
  },
  {
    name: 'vscode',
    title: 'VS Code',
    // mcp.json has servers; settings.json had mcp.servers.
    tables: [['servers'], ['mcpServers'], ['mcp', 'servers']],
    projectFile: join('.vscode', 'mcp.json'),
  },
];

export function clientNamed(name: ClientName): Client {
  return clients.find((client) => client.name === name)!;
}

/** What decides where programs keep their files. */
export interface Host {
  readonly platform: NodeJS.Platform;
  readonly home: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The user's own file of a client, where it lies by default. */
export function userFileOf(name: ClientName, host: Host): string {
  switch (name) {
    case 'claude-desktop':
      return join(applicationData(host), 'Claude', 'claude_desktop_config.json');
    case 'claude-code':
      return join(host.home, '.claude.json');
    case 'cursor':
      return join(host.home, '.cursor', 'mcp.json');
    case 'vscode':
      return join(applicationData(host), 'Code', 'User', 'mcp.json');
  }
}

function applicationData({ platform, home, env }: Host): string {
  if (platform === 'darwin') return join(home, 'Library', 'Application Support');
  if (platform === 'win32') return given(env['APPDATA']) ?? join(home, 'AppData', 'Roaming');
  return given(env['XDG_CONFIG_HOME']) ?? join(home, '.config');
}

function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
