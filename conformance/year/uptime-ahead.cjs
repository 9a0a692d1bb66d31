// Loaded into a process by `node --require`: the machine's uptime, so many seconds ahead. `wall-clock.cjs` does the same to the wall
// clock; without this the log would see, rightly, a wall clock that jumps.
const os = require('node:os');
const { syncBuiltinESMExports } = require('node:module');

const aheadSeconds = Number(process.env.UPTIME_AHEAD);
const uptime = os.uptime;
os.uptime = () => uptime() + aheadSeconds;
syncBuiltinESMExports();
