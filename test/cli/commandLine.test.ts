import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { main } from '../support/serve.js'
import { startWorker } from '../support/worker.js'

const execute = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')

interface Result {
  stdout: string
  stderr: string
  code: number
}

const threadpost = (args: string[], env: Record<string, string> = {}): Promise<Result> =>
  execute(process.execPath, [main, ...args], { cwd: root, env: { PATH: process.env['PATH'], ...env } }).then(
    (output) => ({ ...output, code: 0 }),
    (error: unknown) => error as Result,
  )

const { stdout: overview } = await threadpost(['--help'])
const commands = [...overview.matchAll(/^ {2}(\w+) \[options\]/gm)].map((match) => match[1] ?? '')

const COLOR = /\u001b\[\d+m/
const INVALID = { 'a.mjml': '{{#if x}}', 'b.mjml': '<mjml><mj-body></mj-body></mjml>' }

describe('the threadpost command', () => {
  it('has the documented subcommands', () => {
    expect([...commands].sort()).toEqual([
      'bench',
      'build',
      'check',
      'doctor',
      'erase',
      'inbox',
      'init',
      'migrate',
      'move',
      'render',
      'send',
      'sendmail',
      'serve',
      'types',
      'worker',
    ])
  })

  it.each(commands)('prints examples with existing flags for %s --help', async (command) => {
    const { stdout, code } = await threadpost([command, '--help'])
    expect(code).toBe(0)
    const [flags = '', examples = ''] = stdout.split('\nExamples:\n')
    expect(examples).toContain(`threadpost ${command}`)
    expect(flags).toContain('--json')
    const lines = examples.split('\n').filter((line) => line.includes(`threadpost ${command}`))
    for (const line of lines)
      for (const [flag] of line.matchAll(/--[a-z-]+/g)) expect(flags).toMatch(new RegExp(`${flag}[ ,]`))
  })

  it.each([
    ['an unknown flag', ['check', '--bogus'], /unknown option '--bogus'/],
    ['an unknown command', ['sned'], /unknown command 'sned'[^]*send/],
    ['a missing flag', ['build'], /--out/],
    ['an invalid value', ['serve', '--port', 'x'], /whole number/],
    ['a port number that does not exist', ['inbox', '--port', '99999'], /at most 65535/],
    ['a missing setting', ['worker'], /transport: is required/],
    ['an empty setting', ['send', '--to', 'a@a.example', '--transport', ''], /transport: is required/],
    ['a short token', ['serve', '--port', '0', '--token', 'short'], /token: has fewer than 16/],
    ['a migration of nothing', ['migrate'], /queue: is required/],
    ['an option that the mailer refuses', ['serve', '--transport', 'gopher://x'], /transport: /],
    [
      'a data file that does not exist',
      ['render', 'welcome', '--data', 'nowhere.json'],
      /--data: can't read/,
    ],
    [
      'a timeout without a unit',
      ['send', '--to', 'a@a.example', '--timeout', '5'],
      /3s, 20m, or 1h: 5 of which unit/,
    ],
    ['a drain time without a unit', ['worker', '--drain', '30'], /30 of which unit/],
    ['a soak time without a unit', ['bench', '--soak', '20'], /20 of which unit/],
    ['a duration that is none', ['bench', '--latency', 'fast'], /500ms, 3s/],
    ['a timeout of nothing', ['send', '--to', 'a@a.example', '--timeout', '0s'], /longer than 0/],
    ['no arguments', [], /Usage: threadpost/],
  ])('exits with 2 for %s', async (_, args, message) => {
    const { stderr, code } = await threadpost(args)
    expect(code).toBe(2)
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/\n {4}at /)
  })

  it.each([
    ['serve', '--port', []],
    ['worker', '--port', ['--transport', 'smtp://127.0.0.1:1', '--from', 'a@a.example']],
    ['inbox', '--port', ['--smtp-port', '0']],
    ['inbox', '--smtp-port', ['--port', '0']],
  ] as const)('exits with 2 if a port of %s is in use: %s', async (command, flag, others) => {
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await once(taken, 'listening')
    const port = String((taken.address() as AddressInfo).port)
    const queue = `sqlite:${path.join(await folderOf({}), 'outbox.db')}`
    const { stderr, code } = await threadpost([command, flag, port, ...others], { THREADPOST_QUEUE: queue })
    const message = `threadpost: ${flag}: ${port} on 127.0.0.1 is in use; choose another port [INVALID_OPTIONS]\n`
    expect({ stderr, code }).toEqual({ stderr: expect.stringContaining(message), code: 2 })
  })

  it('counts an empty environment variable as unset', async () => {
    const empty = { PORT: '', THREADPOST_THREADS: '', THREADPOST_TRANSPORT: '' }
    expect(await threadpost(['worker'], empty)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/transport: is required/) as string,
    })
  })

  it('exits with 1 and prints one line if a command fails', async () => {
    const folder = await folderOf(INVALID)
    expect((await threadpost(['check', '--templates', folder])).code).toBe(1)
    const nowhere = ['types', '--templates', 'templates', '--out', path.join(folder, 'a.mjml/types.d.ts')]
    expect(await threadpost(nowhere)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^threadpost: E\w+: .*\n$/),
    })
  })

  it('exits without an error if the reader of its output closes the pipe', async () => {
    const child = spawn(process.execPath, [main, 'bench', '--help'], { cwd: root, stdio: 'pipe' })
    child.stdout.destroy()
    const stderr = text(child.stderr)
    const [code] = (await once(child, 'close')) as [number]
    expect({ code, stderr: await stderr }).toEqual({ code: 0, stderr: '' })
  })

  it('prints results and errors as JSON with --json', async () => {
    const folder = await folderOf(INVALID)
    const json = async (...args: string[]): Promise<unknown> =>
      JSON.parse((await threadpost([...args, '--json'])).stdout)
    expect(await json('check', '--templates', folder)).toHaveLength(2)
    const out = path.join(folder, 'built')
    expect(await json('build', '--templates', folder, '--out', out)).toMatchObject({ written: false, out })
    expect(await json('build', '--templates', 'templates', '--out', out)).toMatchObject({ written: true })
    expect(await json('render', 'welcome', '--data', 'templates/welcome.json')).toMatchObject({
      subject: 'Welcome to Northwind, Ada',
      html: expect.stringContaining('<html'),
    })
    expect(await json('render', 'welcome', '--data', '{ "name": "Zoë" }')).toMatchObject({
      subject: expect.stringMatching(/^Welcome.*Zoë$/),
    })
    expect(await json('doctor', '--transport', 'smtp://127.0.0.1:1')).toContainEqual(
      expect.objectContaining({ what: 'transport', ok: false }),
    )
    const error = (code: string, path?: string): object => ({
      error: { code, path, message: expect.any(String) },
    })
    expect(await json('render', 'nope')).toEqual(error('UNKNOWN_TEMPLATE', 'template'))
    expect(await json('check', '--bogus')).toEqual(error('INVALID_OPTIONS'))
    const blocked = path.join(folder, 'a.mjml/x.d.ts')
    expect(await json('types', '--templates', 'templates', '--out', blocked)).toEqual(
      error(expect.stringMatching(/^E[A-Z]+$/) as string),
    )
  })

  it('says which flag send needs', async () => {
    const to = ['send', '--to', 'ada@example.com', '--transport', 'smtp://127.0.0.1:1']
    const bare = await threadpost([...to, '--text', 'Hi', '--subject', 'Hi'])
    expect(bare.stderr).toContain("from: is required: --from 'Acme <hello@acme.example>', or THREADPOST_FROM")
    expect(bare.code).toBe(2)
  })

  it('names the flag of an option of the SMTP intake that is missing', async () => {
    const beyond = ['serve', '--port', '0', '--smtp-port', '0', '--smtp-host', '0.0.0.0']
    expect((await threadpost(beyond)).stderr).toMatch(
      /auth: is required .* \(--smtp-users\) \[INVALID_OPTIONS\]/,
    )
    const folder = await folderOf({ 'users.json': '[{ "user": "shop", "pass": "a long secret" }]' })
    expect((await threadpost([...beyond, '--smtp-users', path.join(folder, 'users.json')])).stderr).toMatch(
      /tls: is required .* \(--smtp-tls-key and --smtp-tls-cert\) \[INVALID_OPTIONS\]/,
    )
  })

  it('prints no colors without a terminal', async () => {
    const plain = await threadpost(['check'])
    expect(plain.stdout + plain.stderr).not.toContain('\u001b')
    expect((await threadpost(['check'], { FORCE_COLOR: '1' })).stdout).toMatch(COLOR)
  })

  // `script`, of util-linux, runs a command in a terminal.
  it.skipIf(!existsSync('/usr/bin/script'))('prints colors and a progress bar on a terminal', async () => {
    const inTerminal = async (env: Record<string, string>): Promise<string> => {
      const args = ['-qec', `'${process.execPath}' '${main}' check`, '/dev/null']
      const { stdout } = await execute('/usr/bin/script', args, {
        cwd: root,
        env: { PATH: process.env['PATH'], TERM: 'xterm-256color', ...env },
      })
      return stdout
    }
    const shown = await inTerminal({})
    expect(shown).toMatch(COLOR)
    expect(shown).toContain('█')
    expect(await inTerminal({ NO_COLOR: '1' })).not.toMatch(COLOR)
  })
})

const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)

it.skipIf(!hasIPv6)('threadpost worker prints the URL of its health check, also on IPv6', async () => {
  const folder = await folderOf({})
  const flags = ['--transport', `file:${folder}/out`, '--queue', `sqlite:${folder}/outbox.db`]
  const { said } = await startWorker([...flags, '--host', '::1', '--port', '0'])
  await expect.poll(() => said.join('\n')).toContain('/healthz')
  const health = /http:\S+/.exec(said.join('\n'))?.[0] ?? ''
  expect((await fetch(health)).status).toBe(200)
})
