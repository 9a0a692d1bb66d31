export { runCli } from './cli/main.js';
export {
  createGate,
  type GateOptions,
  type ProgramCall,
  type ProgramGate,
} from './create-gate.js';
export type { Asked, Asker } from './gate/asker.js';
export type { GateCall } from './gate/call.js';
export { GateError, type GateErrorCode } from './gate/errors.js';
export type { Reach, Verdict } from './gate/state/approvals.js';
export { gateHook } from './gate/state/gate-hook.js';
