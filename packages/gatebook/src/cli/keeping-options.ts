import type { Rotate } from '@gatebook/audit';
import { Option } from 'commander';
import type { Keeping } from '../keeping.js';
import { segmentBytes } from './option-values.js';

export interface KeepingFlags {
  /** In bytes. */
  readonly maxSizeMb?: number;
  readonly rotate?: Rotate;
}

export function keepingFrom(flags: KeepingFlags): Keeping {
  return { segmentBytesMax: flags.maxSizeMb, rotate: flags.rotate };
}

export function maxSizeOption(): Option {
  return new Option(
    '--max-size-mb <n>',
    'seal a segment of the log when it has reached this many mebibytes (default: 100)',
  ).argParser(segmentBytes);
}

const rotations: readonly Rotate[] = ['size', 'hourly', 'daily', 'weekly'];

export function rotateOption(): Option {
  return new Option(
    '--rotate <when>',
    'seal a segment too when the hour, day or week (UTC) has ended (default: size)',
  ).choices(rotations);
}
