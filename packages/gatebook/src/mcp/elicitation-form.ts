import type { Asked } from '../gate/asker.js';
import { questionText } from '../gate/question-text.js';
import type { Verdict } from '../gate/state/approvals.js';

/** The params of `elicitation/create`. Without `mode`, which clients of before 2025-11-25 do not know: a form is meant then. */
export interface ApprovalForm {
  readonly message: string;
  readonly requestedSchema: object;
}

export function approvalForm(asked: Asked): ApprovalForm {
  return { message: questionText(asked), requestedSchema };
}

const requestedSchema = {
  type: 'object',
  properties: {
    approve: {
      type: 'boolean',
      title: 'Approve',
      description: 'Whether the call may be made',
      default: false,
    },
    reach: {
      type: 'string',
      title: 'Reach',
      description:
        'This call once, or all that the rules named above ask of this tool in this session',
      enum: ['once', 'session'],
      default: 'once',
    },
  },
  required: ['approve'],
};

/** What came back: a verdict, no answer (the form was closed), or something that is neither, and why. */
export type FormAnswer = { readonly verdict: Verdict } | 'none' | { readonly fault: string };

/** Yes is only what was accepted with `approve: true`. */
export function readFormAnswer(result: unknown, by: string): FormAnswer {
  const no: FormAnswer = { verdict: { approved: false, reach: 'once', by, how: 'elicitation' } };
  if (!isRecord(result)) return { fault: 'the answer is no object' };
  if (result['action'] === 'decline') return no;
  if (result['action'] === 'cancel') return 'none';
  if (result['action'] !== 'accept') return { fault: 'the answer has no known action' };
  const content = result['content'];
  if (!isRecord(content)) return { fault: 'the answer was accepted without content' };
  const { approve, reach = 'once' } = content;
  if (approve === false) return no;
  if (approve !== true) return { fault: '"approve" is neither true nor false' };
  if (reach !== 'once' && reach !== 'session') {
    return { fault: '"reach" is neither "once" nor "session"' };
  }
  return { verdict: { approved: true, reach, by, how: 'elicitation' } };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
