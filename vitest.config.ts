import { defineConfig } from 'vitest/config';

// The tests are compiled with the sources, so what runs here is what is shipped, worker threads included.
export default defineConfig({
  test: {
    include: ['**/dist/**/*.test.js'],
    exclude: ['**/node_modules/**'],
    // A thread or a program of ours starts from the bundle.
    globalSetup: ['scripts/bundle.js'],
    testTimeout: 180_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // Most tests wait for a disk, a clock or another process: on two processors three of them keep both busy.
    maxWorkers: 3,
    // What the tests import is compiled already, so Node loads it as it is.
    server: { deps: { external: [/\/dist\/(?!.*\.test\.js)/] } },
  },
});
