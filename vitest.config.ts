import os from 'node:os'
import path from 'node:path'
import { defineConfig } from 'vitest/config'

const built = (file: string) => path.join(import.meta.dirname, 'dist/src', file)

export default defineConfig({
  resolve: {
    // Tests of the whole see what a user gets: the built package, whose worker files lie next to it.
    alias: [
      { find: /^threadpost$/, replacement: built('index.js') },
      { find: /^threadpost\/(express|testing|nodemailer)$/, replacement: built('$1/index.js') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    // Vitest keeps a core for itself, which on a machine of two leaves one; and many tests wait for others.
    maxWorkers: os.availableParallelism(),
    setupFiles: ['test/support/leaks.ts'],
    // Bounds for a hang, not for a duration: they must hold on a machine that does ten other things at once.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 100_000 } },
    server: { deps: { external: [/\/dist\//] } },
  },
})
