import type { CedarPolicy } from './cedar.js';
import { cedarString } from './cedar.js';
import type { Pattern } from './pattern.js';

/** The lists of a policy, parsed. */
export interface Lists {
  deny: readonly Pattern[];
  ask: readonly Pattern[];
  allow: readonly Pattern[];
}

/** The lists as Cedar policies: deny forbids both actions, ask forbids to run before a yes, allow permits to run. */
export function compileLists({ deny, ask, allow }: Lists): CedarPolicy[] {
  const policies: CedarPolicy[] = [];
  deny.forEach(({ text }, at) => {
    const when = `when { context.matches.contains(${cedarString(text)}) }`;
    policies.push({
      id: `deny[${at}]`,
      text: `forbid (principal, action, resource) ${when};`,
      tellsActionsApart: false,
    });
  });
  ask.forEach(({ text }, at) => {
    const when = `when { context.matches.contains(${cedarString(text)}) }`;
    policies.push(
      {
        id: `ask[${at}]`,
        text: `forbid (principal, action == Action::"run", resource) ${when};`,
        tellsActionsApart: false,
      },
      {
        id: `ask[${at}] after yes`,
        text: `permit (principal, action == Action::"run_after_yes", resource) ${when};`,
        tellsActionsApart: true,
      },
    );
  });
  if (allow.length > 0) {
    const text = 'permit (principal, action == Action::"run", resource) when { context.covered };';
    policies.push({ id: 'allow', text, tellsActionsApart: false });
  }
  return policies;
}
