/** A number without rounding. Every double is one, and so are times, costs and what comes in at a rate. */
export class Fraction {
  static readonly zero = new Fraction(0n, 1n);

  readonly over: bigint;
  readonly under: bigint;

  private constructor(over: bigint, under: bigint) {
    this.over = over;
    this.under = under;
  }

  /** What a double stands for, exactly. */
  static of(value: number): Fraction {
    let under = 1n;
    let rest = value;
    while (!Number.isInteger(rest)) {
      rest *= 2;
      under *= 2n;
    }
    return Fraction.#reduced(BigInt(rest), under);
  }

  plus(other: Fraction): Fraction {
    return Fraction.#reduced(
      this.over * other.under + other.over * this.under,
      this.under * other.under,
    );
  }

  minus(other: Fraction): Fraction {
    return Fraction.#reduced(
      this.over * other.under - other.over * this.under,
      this.under * other.under,
    );
  }

  times(other: Fraction): Fraction {
    return Fraction.#reduced(this.over * other.over, this.under * other.under);
  }

  dividedBy(other: Fraction): Fraction {
    const sign = other.over < 0n ? -1n : 1n;
    return Fraction.#reduced(this.over * other.under * sign, this.under * other.over * sign);
  }

  isAbove(other: Fraction): boolean {
    return this.over * other.under > other.over * this.under;
  }

  max(other: Fraction): Fraction {
    return other.isAbove(this) ? other : this;
  }

  min(other: Fraction): Fraction {
    return other.isAbove(this) ? this : other;
  }

  floor(): number {
    const whole = this.over / this.under;
    return Number(this.over % this.under < 0n ? whole - 1n : whole);
  }

  ceil(): number {
    const whole = this.over / this.under;
    return Number(this.over % this.under > 0n ? whole + 1n : whole);
  }

  /** Of what came from a double, that double. */
  toNumber(): number {
    return Number(this.over) / Number(this.under);
  }

  toString(): string {
    return this.under === 1n ? `${this.over}` : `${this.over}/${this.under}`;
  }

  static #reduced(over: bigint, under: bigint): Fraction {
    let a = over < 0n ? -over : over;
    let b = under;
    while (b > 0n) [a, b] = [b, a % b];
    return a === 0n ? Fraction.zero : new Fraction(over / a, under / a);
  }
}

export function sum(values: Iterable<Fraction>): Fraction {
  let total = Fraction.zero;
  for (const value of values) total = total.plus(value);
  return total;
}
