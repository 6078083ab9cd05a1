import os from 'node:os'
import path from 'node:path'
import { defineConfig } from 'vitest/config'
import { LongFirst } from './test/support/longFirst.js'

const built = (file: string) => path.join(import.meta.dirname, 'dist', file)

export default defineConfig({
  resolve: {
    // Tests run what a user gets: the built package, whose worker files lie next to it. Tests of a single module do so too,
    // so that there is only one of each, and its coverage is measured whoever runs it. Not built one by one is the browser's
    // app; and tests of rendering replace modules by others.
    alias: [
      { find: /^threadpost$/, replacement: built('src/index.js') },
      {
        find: /^threadpost\/(express|fetch|nestjs|testing|nodemailer|intake)$/,
        replacement: built('src/$1/index.js'),
      },
      {
        find: /^(?:\.\.\/)+(src\/(?!dashboard\/app\/).+|workers\/(?!render\/).+)\.js$/,
        replacement: built('$1.js'),
      },
      // Bundles: see .ci/bundle.mjs.
      { find: /^\.{1,2}\/(mjmlPackages|cssPackages)\.js$/, replacement: built('workers/render/$1.js') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Vitest keeps a core for itself, which on a machine of two leaves one. One more than there are cores, because many tests wait:
    // for a process whose heartbeats end, a retry, or a browser.
    maxWorkers: os.availableParallelism() + 1,
    sequence: { sequencer: LongFirst },
    setupFiles: ['test/support/recordCoverage.ts', 'test/support/leaks.ts'],
    // Bounds for a hang, not for a duration: they must hold on a machine that does ten other things at once.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    expect: { poll: { timeout: 240_000 } },
    server: { deps: { external: [/\/dist\//] } },
  },
})
