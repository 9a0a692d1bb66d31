/** Every reason for which a policy cannot be made. A denied call is none: it is a decision. */
export type PolicyErrorCode =
  | 'bad_pattern' // a pattern of a list has no known kind, or is empty or too long
  | 'bad_policy' // a Cedar policy cannot be parsed, or does not fit the schema
  | 'bad_option'; // an option is of the wrong shape

/** The one error class of this package: `code` is for programs, `message` says what was wrong, where, and what to do. */
export class PolicyError extends Error {
  readonly code: PolicyErrorCode;

  constructor(code: PolicyErrorCode, message: string) {
    super(message);
    this.name = 'PolicyError';
    this.code = code;
  }
}
