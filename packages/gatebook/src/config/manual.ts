import { isKey, type Key, rootSection, type Section } from './keys.js';
import { notAvailable } from './schema.js';
import { tomlText } from './toml-text.js';

/** docs/config.md: the words around the tables, which come from the schema. */
export function manual(): string {
  const tables = sections(rootSection).map(sectionText);
  const missing = [...notAvailable].map((name) => `\`[${name}]\``).join(', ');
  return `${head}\n${tables.join('\n')}
## Not available yet

${missing}: known by name, and refused until they have an effect.
`;
}

const head = `# The configuration

This page is made from the schema (\`gatebook config schema\`); a test fails when it is stale.

| source, the first that has a key counts |                                                                                 |
| --------------------------------------- | ------------------------------------------------------------------------------- |
| options of the command                  | [cli.md](cli.md)                                                                |
| environment                             | a variable for every key: \`GATEBOOK_SECURITY_AUDIT_RETENTION_DAYS=30\`. Lists and tables are written as in TOML: \`["a", "b"]\`, \`{ a = 1 }\`. An empty one counts as not set |
| project file                            | \`gatebook.toml\`: the nearest from the working directory upwards to the root of the repository (the folder with \`.git\`); outside of a repository, in the working directory |
| user file                               | \`$XDG_CONFIG_HOME/gatebook/config.toml\` (\`~/.config/gatebook/config.toml\`). Refused where another user or a group may write to it |
| defaults                                |                                                                                 |

A key is taken whole from one source: lists and tables are not joined. Unknown keys, wrong values and unknown variables that begin with \`GATEBOOK_SECURITY_\`
are errors; all are told at once, each as \`file:line:column: …\`, the exit code is 2 and nothing is started. A relative path begins in the folder of
the file that has it, in the environment in the working directory; \`~/\` is the home folder. A file has at most 1 MiB.

Editors complete and check the file with the schema; for Taplo, for one:

\`\`\`toml
#:schema ./gatebook.schema.json
[security.audit]
retention_days = 30
\`\`\`

with \`gatebook config schema > gatebook.schema.json\`.

## In a running gate

\`gatebook mcp\`, and a program with a \`createGate\`, take over what has changed while they run, whole or not at all: keys marked "at once" below are in force within a second or so, all others at the next start. A change of a Cedar file
that \`files\` names is one too. A
wrong edit is told on stderr, and the configuration from before it stays. Each change is a \`config_change\` record with the old and the new value of each key
(of keys that may hold a secret, that they changed; of keys whose files decide, the hashes of the files), on disk before the change is in force; a change that cannot be recorded is not made. A client starts one gate
for each server: each takes over the change, and has its own record of it. What holds for trust holds here too.

## Trust

An agent that works in a project can write the project's file. So what a project file says counts where it makes things stricter; values that let more happen, or
less be seen, than what would hold without the file ("needs trust" below) are ignored until somebody has looked at them:

\`\`\`
$ gatebook config trust
gatebook: /work/gatebook.toml:2:1: security.audit.enabled = false
Let the file set this? [y/N] y
gatebook: /work/gatebook.toml is trusted as it is now, sha256 5f0c…
\`\`\`

The hash of the file is kept in \`$XDG_CONFIG_HOME/gatebook/trust\` (mode 0600); when the file changes, it is not trusted any more.
So it is with the files that it names and that decide with it (\`files\` of \`[security.policy]\`, \`witness_policy\`): their hashes are kept too, and when one is another than it was, none of what needs trust counts,
what these files forbid included, and it is said and recorded (\`changed\`) which. What a program does that it names (\`anchor_commands\`) is not looked at. The policy denies writing to the project's file and to
these files; who edits them does so beside the gate, and trusts them again.
\`gatebook config trust --revoke [FILE]\` takes trust back. Both show what it is about (values that may hold a secret are not shown) and ask a person at a terminal; with \`--yes\` nobody is asked. Both
are refused to what runs behind a gate, as [\`gatebook approve\`](cli.md#gatebook-approve) is, with \`--yes\` too. They are in the book as a \`config_change\` record with \`by\` and \`trusted\` or \`untrusted\`, before
they have an effect; where the log cannot take it, nothing is done. Where there is no log yet, where such records are switched off, or where trust is to be taken back under a wrong configuration, it is done and said not to be recorded.

Until a file is trusted each command that reads the
configuration names the ignored keys on stderr, and \`mcp\`, \`exec\`, \`record\` and \`serve\` record them as a \`security_event\` with the rule \`config.untrusted\`. What would hold without
the file is told from defaults and user file. An agent that may run commands as this user can say yes for you: keep the user's folder out of its reach, or run it as another user.
`;

function sections(section: Section): Section[] {
  const members = [...section.members.values()];
  const below = members.flatMap((member) => (isKey(member) ? [] : sections(member)));
  return members.some(isKey) ? [section, ...below] : below;
}

function sectionText({ name, help, members }: Section): string {
  const rows = [...members.values()].filter(isKey).map(row);
  return `## \`[${name}]\`\n\n${help}\n\n| key | default | | needs trust | changes |\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`;
}

function row({ steps, usual, unset, help, wanted, weakens, live }: Key): string {
  const held = usual === undefined ? `not set: ${unset ?? 'none'}` : code(tomlText(usual));
  return `| ${code(steps.at(-1) ?? '')} | ${cell(held)} | ${cell(help)} Accepted: ${cell(wanted)} | ${cell(weakens?.words ?? '')} | ${live ? 'at once' : ''} |`;
}

function code(text: string): string {
  return `\`${text}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
