import { type Function as FunctionNode, forEachChild, type SyntaxNode } from 'unbash';

const stepsMax = 2000;

/** Whether a function starts itself twice at a time, or once in the background: a fork bomb. */
export function runsItself(node: FunctionNode): boolean {
  const name = node.name.value;
  let steps = 0;
  let found = false;
  const calls = (inside: SyntaxNode): number => {
    let count = 0;
    const visit = (child: SyntaxNode): void => {
      if (++steps > stepsMax) return;
      if (child.type === 'Command' && child.name?.value === name) count++;
      forEachChild(child, visit);
    };
    visit(inside);
    return count;
  };
  const visit = (child: SyntaxNode): void => {
    if (found || ++steps > stepsMax) return;
    if (child.type === 'Pipeline') found ||= calls(child) > 1;
    if (child.type === 'Statement' && child.background) found ||= calls(child) > 0;
    forEachChild(child, visit);
  };
  visit(node.body);
  return found;
}
