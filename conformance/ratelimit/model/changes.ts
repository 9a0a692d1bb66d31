import fc from 'fast-check';
import type { Model, Real, Step } from './commands.js';
import type { LocalSubject, StoredSubject } from './subject.js';
import { limitOf, type NamedPlan, type Plan } from './world.js';

/** Puts a limit in the place of another: with the same name and kind, so that it may inherit, or as a new one; or takes it out. */
export class Change implements Step {
  constructor(
    readonly what: 'inherit' | 'renew' | 'remove',
    readonly which: number,
    readonly next: Plan,
  ) {}
  check = (): boolean => true;
  toString = (): string => `${this.what}(${this.which}, ${fc.stringify(this.next)})`;

  async run(model: Model, { subject }: Real): Promise<void> {
    model.plans = this.#changed(model);
    const limits = model.plans.map(limitOf);
    await subject.setLimits(limits);
    model.exact.setLimits(limits);
  }

  #changed(model: Model): readonly NamedPlan[] {
    const plans = [...model.plans];
    const place = this.which % Math.max(1, plans.length);
    const before = plans[place];
    if (before === undefined || this.what === 'renew')
      plans.splice(place, 1, { ...this.next, name: `limit ${model.made++}` });
    else if (this.what === 'remove') plans.splice(place, 1);
    else {
      // Of a quota the period is part of what it is.
      const { name, kind, scope, calendar } = before;
      const perMs = kind === 'rolling' ? before.perMs : this.next.perMs;
      plans.splice(place, 1, { ...this.next, name, kind, scope, calendar, perMs });
    }
    return plans;
  }
}

/** A new limiter, on a new clock, goes on from a snapshot. */
export class Restart implements Step<LocalSubject> {
  constructor(readonly ms: number) {}
  check = (): boolean => true;
  toString = (): string => `restart(${this.ms} ms later)`;

  async run({ exact, plans }: Model, real: Real<LocalSubject>): Promise<void> {
    real.subject.restart(plans.map(limitOf), this.ms);
    exact.restart({ now: 0, wall: exact.at.wall + this.ms });
    real.held = [];
  }
}

export class StepWall implements Step<LocalSubject> {
  constructor(readonly ms: number) {}
  check = (): boolean => true;
  toString = (): string => `stepWall(${this.ms} ms)`;

  async run({ exact }: Model, { subject }: Real<LocalSubject>): Promise<void> {
    subject.stepWall(this.ms);
    exact.at = { ...exact.at, wall: exact.at.wall + this.ms };
  }
}

/** The process is killed with the permits that it has, and another takes its place. */
export class Die implements Step<StoredSubject> {
  check = (): boolean => true;
  toString = (): string => 'die()';

  async run({ exact, plans }: Model, real: Real<StoredSubject>): Promise<void> {
    await real.subject.die(plans.map(limitOf));
    exact.die();
    real.held = [];
  }
}

/** The process stands still, and its permits are not renewed. */
export class Stall implements Step<StoredSubject> {
  constructor(readonly ms: number) {}
  check = (): boolean => true;
  toString = (): string => `stall(${this.ms} ms)`;

  async run({ exact }: Model, { subject }: Real<StoredSubject>): Promise<void> {
    const ms = exact.surely(this.ms);
    await subject.stall(ms);
    exact.pass(ms, true);
  }
}
