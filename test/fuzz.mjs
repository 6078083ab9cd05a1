// The fuzz test for longer: npm run test:fuzz -- --minutes 60. `npm test` runs the same few patterns each time.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } })
const minutes = Number(values.minutes)
if (!(minutes > 0)) throw new Error('--minutes must be a positive number')

const root = path.dirname(import.meta.dirname)
const vitest = path.join(root, 'node_modules/vitest/vitest.mjs')
const tests = spawnSync(process.execPath, [vitest, 'run', 'test/fuzz'], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, FUZZ_MINUTES: String(minutes) },
})
process.exitCode = tests.status ?? 1
