import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The suites that take most of an hour when they run whole. */
const hours = /\/conformance\/dist\/(?:year\/year|faults\/faults|ratelimit\/model\/redis)\.test/;

/** Suites that start programs take longest, so they begin first: nobody then waits for one that began last. */
class ProgramsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number =>
      hours.test(moduleId) ? 0 : moduleId.includes('/packages/') ? 2 : 1;
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => place(a) - place(b));
  }
}

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
    // Files of one process share what they import, so that it is loaded once: they keep nothing there.
    isolate: false,
    sequence: { sequencer: ProgramsFirst },
    // Most tests wait for a disk, a clock or another process: on two processors three of them keep both busy.
    maxWorkers: 3,
    // What the tests import is compiled already, so Node loads it as it is.
    server: { deps: { external: [/\/dist\/(?!.*\.test\.js)/] } },
  },
});
