import type { Rotate } from '@gatebook/audit';
import { Option } from 'commander';
import type { Keeping } from '../keeping.js';
import { segmentBytes } from './option-values.js';
import { type OutsideFlags, outsideFrom } from './outside-options.js';

export interface KeepingFlags extends OutsideFlags {
  /** In bytes. */
  readonly maxSizeMb?: number;
  readonly rotate?: Rotate;
}

export async function keepingFrom(flags: KeepingFlags): Promise<Keeping> {
  const outside = await outsideFrom(flags);
  return { segmentBytesMax: flags.maxSizeMb, rotate: flags.rotate, ...outside };
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
