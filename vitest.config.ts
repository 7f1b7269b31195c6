import { defineConfig, type ViteUserConfig } from 'vitest/config';

/** Whole-process truth and long descriptor counts: limits and signals of one file would disturb another beside it. */
const alone = ['test/process/**/*.test.ts', 'test/leaks/**/*.test.ts', 'test/**/*.alone.test.ts'];

const config: ViteUserConfig = defineConfig({
  test: {
    // A worker thread shares its descriptors with the others; a process has its own, and can be counted.
    pool: 'forks',
    execArgv: ['--expose-gc'],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    teardownTimeout: 5_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.{ts,mjs}'],
          exclude: [...alone, 'test/fixtures/**'],
          setupFiles: ['test/setup.ts'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: alone,
          setupFiles: ['test/setup.ts'],
          sequence: { groupOrder: 1 },
          maxWorkers: 1,
        },
      },
    ],
  },
});

export default config;
