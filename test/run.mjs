// The test command: what a change must pass. The checks of the source run beside the tests, of which many wait.
// Arguments go to vitest: npm test -- test/delivery/retry.test.ts
// npm test -- --quick takes two minutes: without lint, and without the tests that take long. A change is done when npm test passes.
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { coverage } from './coverage.mjs'
import { tools } from './support/prerequisites.mjs'

const root = path.dirname(import.meta.dirname)
const inCI = process.env.CI === 'true'
const quick = process.argv.includes('--quick')
const chosen = process.argv.slice(2).filter((argument) => argument !== '--quick')
/** Tests that kill processes, start servers and browsers, try thousands of generated cases, or wait. */
const LONG = [
  '{bench,cli,dashboard,faults,feedback,fetch,fuzz,intake,nodemailer,project,schedules,server,suppressions,threads,webhooks}/**',
  'delivery/{cancel,delivery,load,memory}*',
  'express/{deliveryEvents,unsubscribe}*',
  'inbox/{browser,command,hostileMail,images}*',
  'queue/{changeRefused,encryption,moveQueue,outbox,postgres,redis,sqlite,writeAheadLog}*',
  'telemetry/{monitoring,tracing}*',
  'templates/typedTemplates*',
  'transports/{breaker,budgets,ehlo,mailServices,rateModel,rateUnderLoad,resolvedTransports,services}*',
  'workers/compose/{differential,dkimSigner}*',
  'workers/render/{applicationModules,copiedAttributes,corpus,handlebars,linearTime,precompiledEquals}*',
  'workers/smtp/{handOver,mailServers,tls}*',
]
const sum = { passed: 0, failed: 0, skipped: 0 }

const node = (script, args, options) => program(process.execPath, [path.join(root, script), ...args], options)

/** Runs a program in the root. What it prints is shown at once or kept. */
function program(command, args, { show = false, env = process.env } = {}) {
  return new Promise((resolve) => {
    const stdio = show ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe']
    const child = spawn(command, args, { cwd: root, stdio, env })
    let output = ''
    child.stdout?.setEncoding('utf8').on('data', (text) => (output += text))
    child.stderr?.setEncoding('utf8').on('data', (text) => (output += text))
    child.on('error', (error) => resolve({ ok: false, output: String(error) }))
    child.on('close', (code, signal) => resolve({ ok: code === 0, output, code: code ?? signal }))
  })
}

async function step(name, work, { show = false } = {}) {
  const start = performance.now()
  const { ok, output = '' } = await work()
  sum[ok ? 'passed' : 'failed']++
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`)
  if (output && (!ok || show)) console.log(output.trimEnd())
  return ok
}

let complete = false

async function prerequisites() {
  const { problems } = await tools()
  complete = problems.length === 0
  if (problems.length > 0 && !inCI) console.log(problems.join('\n'))
  return { ok: problems.length === 0 || !inCI, output: problems.join('\n') }
}

/** Adds vitest's counts; what failed outside of a test (a file, a hook, vitest itself) counts as well. */
async function vitest() {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'threadpost-test-'))
  const report = path.join(folder, 'vitest.json')
  const reports = path.join(folder, 'coverage')
  await mkdir(reports)
  const left = quick ? LONG.map((pattern) => `--exclude=test/${pattern}`) : []
  const args = ['run', ...left, '--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const { ok, code } = await node('node_modules/vitest/vitest.mjs', [...args, ...chosen], {
    show: true,
    env: { ...process.env, TEST_COVERAGE: reports },
  })
  const result = await readFile(report, 'utf8').then(JSON.parse, () => undefined)

  const failed = sum.failed
  const files = result?.testResults ?? []
  for (const { status } of files.flatMap((file) => file.assertionResults)) {
    if (status === 'passed' || status === 'failed') sum[status]++
    else sum.skipped++
  }
  for (const file of files) {
    const inTests = file.assertionResults.some(({ status }) => status === 'failed')
    if (file.status === 'failed' && (!inTests || file.message)) sum.failed++
  }
  if (!result) fail(`vitest left no report (exit ${code})`)
  else if (result.numPassedTests + result.numFailedTests === 0) fail('vitest ran no test')
  else if (!ok && sum.failed === failed) fail(`vitest ended with ${code}, though no test failed`)
  // The floors hold for the whole suite, with every server and browser that it uses.
  if (chosen.length === 0 && !quick && complete)
    await step('coverage', () => coverage(reports), { show: true })
  await rm(folder, { recursive: true, force: true })
}

function fail(message) {
  sum.failed++
  console.log(`FAILED ${message}`)
}

/** One after the other, the quickest to find a mistake first: each has use for one core and a gigabyte. */
async function checks() {
  await step('types: tsc', () => node('node_modules/typescript/bin/tsc', ['-p', 'tsconfig.test.json']))
  await step('format: prettier', () => node('node_modules/prettier/bin/prettier.cjs', ['--check', '.']))
  if (quick) return
  await step('lint: eslint', () => node('node_modules/eslint/bin/eslint.js', ['.']))
  await step('unused: knip', () => node('node_modules/knip/bin/knip.js', []))
}

// The first waits for the network and the disk, the second for the processor.
const [, built] = await Promise.all([
  step('prerequisites', prerequisites),
  step('build', () => program('npm', ['run', '--silent', 'build'])),
])
const checked = checks()
if (built) await vitest()
else fail('tests: not run, since the build failed')
await checked

if (sum.failed > 0) process.exitCode = 1
if (quick) console.log('Quick: lint and the tests that take long were left out. `npm test` runs them.')
const skipped = sum.skipped > 0 ? `, ${sum.skipped} skipped` : ''
console.log(`${sum.passed} passed, ${sum.failed} failed${skipped}`)
