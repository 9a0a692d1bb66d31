export type { Acknowledgement, Opening } from './acknowledgement.js';
export type { AnchorAddress, AnchorEntry } from './anchor.js';
export { anchorTime, readAnchors } from './anchor.js';
export { type Archived, type ArchiveReport, archiveLog } from './archive-log.js';
export type { Unarchived } from './archive-place.js';
export type { Checkpoint, Note, NoteSignature, VerifierKey } from './checkpoint.js';
export { checkNote, parseCheckpointText, parseNote, parseVerifierKey } from './checkpoint.js';
export type { ContentReport } from './content-check.js';
export { checkContents } from './content-check.js';
export type { ContentState, OpenedMember } from './content-reader.js';
export { ContentReader } from './content-reader.js';
export type { CosignerKey } from './cosignature.js';
export { findCosignature, parseCosignerKey } from './cosignature.js';
export type { Progress } from './cosigned.js';
export { readProgress } from './cosigned.js';
export type { Erased } from './erasure.js';
export type { ErasureSurvey } from './erasure-survey.js';
export { findSubjects, originOfLog, surveyErasure } from './erasure-survey.js';
export { AuditError, type AuditErrorCode } from './errors.js';
export type {
  Action,
  Actor,
  AuditEvent,
  BuiltInEventType,
  Commitment,
  EventType,
  JsonObject,
  JsonValue,
  Result,
  RiskLevel,
  Security,
  Trace,
} from './event.js';
export { eventTypes, isEventType, riskLevels } from './event.js';
export type { Brought } from './evidence.js';
export { examineLog, type LogExamination, type SeenWriter } from './examination.js';
export { callerNames } from './fields.js';
export type {
  Caller,
  Consulted,
  HookEnd,
  HookMaker,
  MessageHook,
} from './hook.js';
export type { Listen, RunningServer } from './http-server.js';
export { newId } from './id.js';
export type { JsonFault, JsonKind, JsonMember, OnMember } from './json-scan.js';
export { jsonDepthMax, memberName, scanJson, scanObject } from './json-scan.js';
export { type KeyFacts, type LogKeys, logKeys } from './key-facts.js';
export { eraseInitialKey, readPublicKeyFile } from './keys.js';
export type { ForwardSecurity, ServedLog, TypedEvent } from './log.js';
export { AuditLog, openAuditLog, serveAuditLog } from './log.js';
export type { AuditLogOptions, ContentMode, ServedLogOptions, ServeOptions } from './options.js';
export { contentModes } from './options.js';
export type { OutsideOptions } from './outside.js';
export { cosignNewest } from './outside.js';
export type { PassphraseSource } from './passphrase.js';
export { type PreviousLog, readPreviousLog } from './previous-log.js';
export type { CheckedProof } from './proof.js';
export { checkProof, findEvent, proveConsistency, proveRecord } from './proof.js';
export type { Removed } from './pruned-ranges.js';
export type { PruneOptions } from './question.js';
export type { ReadOptions, StoredLine, UnreadLines } from './reader.js';
export { parseRecord, readLines } from './reader.js';
export { type RepairOptions, type RepairReport, repairLog } from './repair.js';
export type { HoldFilter, PruneReason, RetentionOptions } from './retention.js';
export type { PrunedRun } from './retention-judge.js';
export { parseCertificates, readTimestamp, timestampRequest, verifyTimestamp } from './rfc3161.js';
export { type Rotate, rotations } from './rotation.js';
export { type SetUpOptions, setUpLog } from './set-up.js';
export type { KeyRotationOptions } from './signing-keys.js';
export type {
  CommandSource,
  FileSource,
  SigningSource,
  VariableSource,
} from './signing-source.js';
export { type HeldSource, signingSource } from './signing-source-of.js';
export type { LogStatus } from './status.js';
export { logStatus } from './status.js';
export type { LogRecord, StoredContent } from './stored-record.js';
export type { CheckedTally, TallyEntry, TallyQuestion } from './tally-proof.js';
export {
  checkTallyProof,
  isTallyProof,
  listTallies,
  proveTally,
  readTally,
} from './tally-proof.js';
export { type Dimension, dimensions } from './tally-scan.js';
export type { TileServerOptions } from './tile-server.js';
export { serveTiles, tileHandler } from './tile-server.js';
export type { PolicyWitness, Quorum, TlogPolicy } from './tlog-policy.js';
export { allOf, parsePolicy } from './tlog-policy.js';
export { newToken, readTokenOf } from './tokens.js';
export type { Hash } from './tree.js';
export { checkConsistency, leafHash, rootFromInclusion } from './tree.js';
export type { VerifyOptions } from './verify.js';
export { verifyLog } from './verify.js';
export { VerifyMemory } from './verify-memory.js';
export type { Finding, Level, Verdict, VerifyReport } from './verify-report.js';
export { verifyExitCode } from './verify-report.js';
export type { Witnessed } from './verify-witness.js';
export type { Answer, WitnessOptions } from './witness.js';
export { Witness } from './witness.js';
export type { Fetch, WitnessCall } from './witness-client.js';
export { fetchCosigned } from './witness-client.js';
export type { WitnessNews } from './witness-server.js';
export { serveWitness } from './witness-server.js';
export type { WitnessAddress } from './witness-sink.js';
export { addressesOf } from './witness-sink.js';
