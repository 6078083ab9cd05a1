// Does the package work where it ends up? Packs what was built, installs it into empty folders with npm, pnpm and yarn, and runs
// it there on several versions of Node: memory queue, with threads and without, from ES modules and CommonJS.
// node test/measure/tryInstalls.mjs [--node 20,22,24,latest] [--managers npm,pnpm,yarn,yarn-pnp]
// Install scripts don't run: better-sqlite3 is built for one version of Node, and has no part in this.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { parseArgs, promisify } from 'node:util'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')
const { values } = parseArgs({
  options: {
    node: { type: 'string', default: '20,22,24,latest' },
    managers: { type: 'string', default: 'npm,pnpm,yarn,yarn-pnp' },
  },
})

const SMOKE = `
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { createMailer } from 'threadpost'
import { mailRouter } from 'threadpost/express'
import { expectMail, startInbox } from 'threadpost/testing'

const require = createRequire(import.meta.url)
assert.equal(require('threadpost').createMailer, createMailer)
const inbox = await startInbox()
for (const threads of [0, 1]) {
  const mailer = await createMailer({ transport: inbox.url, from: 'a@b.example', templates: './templates', threads })
  assert.equal(typeof mailRouter(mailer, { auth: false }), 'function')
  const to = \`threads\${threads}@example.com\`
  const message = await mailer.sendAndWait({ template: 'welcome', to, data: { name: 'Ada' } })
  assert.equal(message.status, 'sent')
  await expectMail(inbox, { to, subject: /Ada/ })
  await mailer.close()
}
await inbox.close()
console.log('both arrived on ' + process.version)
`

const BERRY = ['npx', '--yes', '-p', '@yarnpkg/cli-dist@4', 'yarn']
const MANAGERS = {
  npm: { add: ['npm', 'install', '--ignore-scripts'], node: ['node'], bin: ['npx', '--no', '--'] },
  pnpm: {
    add: ['npx', '--yes', 'pnpm@10', 'add', '--ignore-scripts'],
    node: ['node'],
    bin: ['npx', '--yes', 'pnpm@10', 'exec'],
  },
  yarn: {
    add: ['npx', '--yes', 'yarn@1', 'add', '--ignore-scripts'],
    node: ['node'],
    bin: ['npx', '--no', '--'],
  },
  'yarn-pnp': {
    files: {
      '.yarnrc.yml': 'nodeLinker: pnp\nenableScripts: false\nenableGlobalCache: false\n',
      'yarn.lock': '',
    },
    add: [...BERRY, 'add'],
    node: [...BERRY, 'node'],
    bin: BERRY,
  },
}

const work = await mkdtemp(path.join(os.tmpdir(), 'threadpost-installs-'))
try {
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work], {
    cwd: root,
  })
  const [{ filename, size, unpackedSize }] = JSON.parse(stdout)
  console.log(
    `${filename}: ${Math.round(size / 1000)} kB packed, ${Math.round(unpackedSize / 1000)} kB unpacked`,
  )
  const tarball = path.join(work, filename)
  for (const name of values.managers.split(',')) await tell(name, () => install(name, tarball))
  const app = await folder('npm', tarball)
  for (const version of values.node.split(','))
    await tell(`node ${version}`, () => smoke(app, ['npx', '--yes', '-p', `node@${version}`, 'node']))
} finally {
  await rm(work, { recursive: true, force: true })
}

async function install(name, tarball) {
  return smoke(await folder(name, tarball), MANAGERS[name].node)
}

/** A folder with the package, and what \`threadpost init\` sets up. */
async function folder(name, tarball) {
  const { add, bin, files = {} } = MANAGERS[name]
  const app = await mkdtemp(path.join(work, `${name}-`))
  const { express } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')).dependencies
  await writeFile(path.join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }')
  for (const [file, text] of Object.entries(files)) await writeFile(path.join(app, file), text)
  await command(app, [...add, tarball, `express@${express}`])
  await command(app, [...bin, 'threadpost', 'init'])
  await writeFile(path.join(app, 'smoke.mjs'), SMOKE)
  return app
}

async function smoke(app, node) {
  return (await command(app, [...node, 'smoke.mjs'])).trim()
}

async function command(cwd, [program, ...args]) {
  const { stdout } = await run(program, args, { cwd, maxBuffer: 2 ** 26 })
  return stdout
}

async function tell(what, work) {
  const start = performance.now()
  try {
    const said = await work()
    console.log(`ok      ${what}: ${said} (${((performance.now() - start) / 1000).toFixed(1)} s)`)
  } catch (error) {
    process.exitCode = 1
    console.log(`FAILED  ${what}: ${error.message}\n${error.stdout ?? ''}`)
  }
}
