import type { Finding } from '../finding.js';
import type { Risk } from '../risk.js';

interface Notice {
  risk: Risk;
  reason: string;
}

/** What is told of the shape of a script rather than of one program. */
export const notices = {
  'shell-unparsed': { risk: 'high', reason: 'the shell syntax could not be read' },
  'shell-too-long': { risk: 'high', reason: 'the command is too long to be read' },
  'shell-too-deep': { risk: 'high', reason: 'too many scripts or blocks inside one another' },
  'shell-too-many': { risk: 'high', reason: 'too many commands to be read' },
  'shell-control-character': {
    risk: 'high',
    reason: 'a control character or a direction mark can hide what is run from the reader',
  },
  'hidden-command': {
    risk: 'high',
    reason: 'which program runs is only known when the shell expands it',
  },
  'hidden-script': {
    risk: 'high',
    reason: 'a part of the script is only known when the shell expands it',
  },
  'piped-script': { risk: 'high', reason: 'runs whatever comes out of a pipe or a file' },
  'unseen-script': { risk: 'high', reason: 'runs a script that nobody has seen' },
  'fetched-script': {
    risk: 'high',
    reason: 'runs what the same command line has fetched, decoded or copied',
  },
  'interactive-shell': { risk: 'high', reason: 'opens a shell that takes further commands' },
  'fork-bomb': { risk: 'critical', reason: 'starts itself again without end' },
  'reverse-shell': { risk: 'critical', reason: 'gives a shell to another machine' },
  'shell-network': { risk: 'high', reason: 'opens a network connection from the shell' },
  'secrets-to-network': {
    risk: 'critical',
    reason: 'reads secrets and reaches the network in one command line',
  },
  'as-root': { risk: 'high', reason: 'changes something with the rights of root' },
  'file-empty': { risk: 'high', reason: 'empties a file' },
  'unknown-program': { risk: 'high', reason: 'this policy does not know the program' },
} as const satisfies Record<string, Notice>;

export type NoticeId = keyof typeof notices;

export function notice(rule: NoticeId, subject: string): Finding {
  return { rule, ...notices[rule], subject };
}
