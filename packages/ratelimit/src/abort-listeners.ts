/** What is to be done for each signal, in the order in which it was asked for. */
const wanted = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `act` once when the signal is aborted; returns what ends that. However many wait with one signal, it has one listener: Node warns
 * of more than ten, and goes through all of them for each that comes.
 */
export function onAbort(signal: AbortSignal | undefined, act: () => void): () => void {
  if (signal === undefined) return () => {};
  const acts = wanted.get(signal) ?? listen(signal);
  acts.add(act);
  return () => {
    acts.delete(act);
  };
}

/** The listener stays as long as the signal: taking it off and on again would cost each who waits alone. */
function listen(signal: AbortSignal): Set<() => void> {
  const acts = new Set<() => void>();
  wanted.set(signal, acts);
  const all = (): void => {
    for (const act of [...acts]) if (acts.delete(act)) act();
  };
  signal.addEventListener('abort', all, { once: true });
  return acts;
}
