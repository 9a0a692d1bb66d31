// Loaded into a process by `node --require`, and so into each of its threads: the wall clock, as many seconds ahead of the machine's as
// the file says when it is asked. libfaketime does this to other programs, but it has no lock: now and then it gives one of several
// threads the machine's time.
const { readFileSync } = require('node:fs');

const file = process.env.WALL_CLOCK_FILE;
const machineMs = Date.now;

function wallMs() {
  const text = readFileSync(file, 'utf8');
  const ahead = Number.parseInt(text, 10);
  if (!Number.isInteger(ahead))
    throw new Error(`${file} holds ${JSON.stringify(text)}, not seconds`);
  return machineMs() + ahead * 1_000;
}

globalThis.Date = new Proxy(Date, {
  get: (date, key) => (key === 'now' ? wallMs : Reflect.get(date, key)),
  construct: (date, args, made) =>
    Reflect.construct(date, args.length === 0 ? [wallMs()] : args, made),
  apply: () => new Date().toString(),
});
