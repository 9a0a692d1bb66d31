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
    // By default one processor is left out; on two that is half of them.
    maxWorkers: 2,
  },
});
