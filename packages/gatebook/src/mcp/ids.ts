import { newId } from '@gatebook/audit';

export function newCallId(): string {
  return newId('call_');
}

export function newSessionId(): string {
  return newId('ses_');
}
