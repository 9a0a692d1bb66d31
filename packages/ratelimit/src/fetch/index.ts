export { type Fetch, limitedFetch } from './limited-fetch.js';
export type { LimitedFetchOptions } from './options.js';
