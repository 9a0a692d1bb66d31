import type { AuditEvent } from '@gatebook/audit';
import { outcomeBytesMax, outcomesMax } from './bounds.js';
import type { Ledger } from './ledger.js';

/** Records that nothing waits for, counted until they are acknowledged so that their number and size stay bounded. */
export class Outcomes {
  readonly #ledger: Ledger;
  #count = 0;
  #bytes = 0;
  #wake: (() => void)[] = [];

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  record(event: AuditEvent): void {
    const bytes = event.result?.outputText?.length ?? 0;
    this.#count++;
    this.#bytes += bytes;
    void this.#ledger.fact(event).finally(() => {
      this.#count--;
      this.#bytes -= bytes;
      const wake = this.#wake;
      this.#wake = [];
      for (const resolve of wake) resolve();
    });
  }

  /** Resolves when another one may be begun. */
  async room(): Promise<void> {
    while (this.#count >= outcomesMax || this.#bytes >= outcomeBytesMax) await this.#change();
  }

  /** Resolves when all are acknowledged or given up. */
  async settled(): Promise<void> {
    while (this.#count > 0) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake.push(resolve);
    });
  }
}
