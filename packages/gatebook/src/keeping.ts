import type { AuditLogOptions, OutsideOptions } from '@gatebook/audit';

/** How a log is kept, as the commands that write it are told; what is not given is the log's default. */
export type Keeping = Pick<
  AuditLogOptions,
  'segmentBytesMax' | 'rotate' | 'archive' | 'retention' | 'content' | 'checkpointRecordsMax'
> &
  OutsideOptions;
