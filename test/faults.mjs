// The fault tests at full length: npm run test:faults. `npm test` runs the same files, with fewer messages.
import { spawnSync } from 'node:child_process'
import path from 'node:path'

const root = path.dirname(import.meta.dirname)
const env = {
  ...process.env,
  SOAK_ROUNDS: '20',
  SOAK_MAILS: '2000',
  DEAD_HOST_MAILS: '10000',
  FLEET_MAILS: '5000',
  POSTGRES_ROUNDS: '20',
  POSTGRES_WORKER_ROUNDS: '100',
  TRANSACTIONS: '2000',
  ...process.env,
}
const files = ['faults', 'queue', 'workers/smtp', 'threads', 'transports/breaker.test.ts'].map(
  (name) => `test/${name}`,
)

const build = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
const vitest = path.join(root, 'node_modules/vitest/vitest.mjs')
const args = [vitest, 'run', ...files, ...process.argv.slice(2)]
const tests =
  build.status === 0 ? spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env }) : build
process.exitCode = tests.status ?? 1
