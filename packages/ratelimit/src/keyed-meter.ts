import { bitsOf, type KeyWords, placesOf } from './key-words.js';
import { KeyedRows } from './keyed-rows.js';
import type { Limit } from './limit.js';
import { MeterBase } from './meter-base.js';

/** What meters have in common that keep a row for each key. */
export abstract class KeyedMeter extends MeterBase {
  readonly bits: number;
  row = -1;
  protected readonly rows: KeyedRows;

  constructor(limit: Limit) {
    super(limit);
    const { scope = [] } = limit;
    this.bits = bitsOf(placesOf(scope));
    this.rows = new KeyedRows(scope, this.maxKeys, (row) => this.isIdle(row));
  }

  get keys(): number {
    return this.rows.size;
  }

  ageOf(row: number): number {
    return this.rows.ageOf(row);
  }

  keyOfRow(row: number): string {
    return this.rows.keyOf(row);
  }

  reset(key: KeyWords): void {
    const row = this.rows.find(key);
    if (row !== -1) this.rows.remove(row);
  }

  override adopt(limit: Limit): void {
    super.adopt(limit);
    // There are none yet while it is being made.
    if (this.rows !== undefined) this.rows.most = this.maxKeys;
  }

  /** Whether a row is as good as none. */
  protected abstract isIdle(row: number): boolean;

  /** Whether the row still is the key's that had it at that age. */
  protected isOf(row: number, age: number): boolean {
    return this.rows.ageOf(row) === age;
  }
}
