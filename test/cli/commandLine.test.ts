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

const COLOUR = /\u001b\[\d+m/
const WRONG = { 'a.mjml': '{{#if x}}', 'b.mjml': '<mjml><mj-body></mj-body></mjml>' }

describe('the command', () => {
  it('has all that is told of it', () => {
    expect([...commands].sort()).toEqual([
      'bench',
      'build',
      'check',
      'doctor',
      'inbox',
      'init',
      'render',
      'send',
      'serve',
      'types',
      'worker',
    ])
  })

  it.each(commands)('%s --help shows examples, with flags that there are', async (command) => {
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
    ['a flag that is missing', ['build'], /--out/],
    ['a value that can not be', ['serve', '--port', 'x'], /whole number/],
    ['a port that there is not', ['inbox', '--port', '99999'], /at most 65535/],
    ['a setting that is missing', ['worker'], /transport: is required/],
    ['a setting that is empty', ['send', '--to', 'a@a.example', '--transport', ''], /transport: is required/],
    ['an option that the mailer refuses', ['serve', '--transport', 'gopher://x'], /transport: /],
    ['data that are not there', ['render', 'welcome', '--data', 'nowhere.json'], /--data: can't read/],
    ['nothing', [], /Usage: threadpost/],
  ])('ends with 2 for %s', async (_, args, says) => {
    const { stderr, code } = await threadpost(args)
    expect(code).toBe(2)
    expect(stderr).toMatch(says)
    expect(stderr).not.toMatch(/\n {4}at /)
  })

  it.each([
    ['serve', '--port', []],
    ['worker', '--port', ['--transport', 'smtp://127.0.0.1:1', '--from', 'a@a.example']],
    ['inbox', '--port', ['--smtp-port', '0']],
    ['inbox', '--smtp-port', ['--port', '0']],
  ] as const)('ends with 2 where a port of %s is in use: %s', async (command, flag, others) => {
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await once(taken, 'listening')
    const port = String((taken.address() as AddressInfo).port)
    const queue = `sqlite:${path.join(await folderOf({}), 'outbox.db')}`
    const { stderr, code } = await threadpost([command, flag, port, ...others], { THREADPOST_QUEUE: queue })
    const says = `threadpost: ${flag}: ${port} on 127.0.0.1 is in use; take another [INVALID_OPTIONS]\n`
    expect({ stderr, code }).toEqual({ stderr: expect.stringContaining(says), code: 2 })
  })

  it('ends with 1 where something failed, and says it in a line', async () => {
    const folder = await folderOf(WRONG)
    expect((await threadpost(['check', '--templates', folder])).code).toBe(1)
    const nowhere = ['types', '--templates', 'templates', '--out', path.join(folder, 'no/such/folder.d.ts')]
    expect(await threadpost(nowhere)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^threadpost: ENOENT: .*\n$/),
    })
  })

  it('ends quietly when nobody reads what it says', async () => {
    const child = spawn(process.execPath, [main, 'bench', '--help'], { cwd: root, stdio: 'pipe' })
    child.stdout.destroy()
    const said = text(child.stderr)
    const [code] = (await once(child, 'close')) as [number]
    expect({ code, said: await said }).toEqual({ code: 0, said: '' })
  })

  it('prints JSON where it finds something', async () => {
    const folder = await folderOf(WRONG)
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
    expect(await json('doctor', '--transport', 'smtp://127.0.0.1:1')).toContainEqual(
      expect.objectContaining({ what: 'transport', ok: false }),
    )
    const error = (code: string, path?: string): object => ({
      error: { code, path, message: expect.any(String) },
    })
    expect(await json('render', 'nope')).toEqual(error('UNKNOWN_TEMPLATE', 'template'))
    expect(await json('check', '--bogus')).toEqual(error('INVALID_OPTIONS'))
    expect(await json('types', '--templates', 'templates', '--out', path.join(folder, 'no/x.d.ts'))).toEqual(
      error('ENOENT'),
    )
  })

  it('has no colour where there is no terminal', async () => {
    const plain = await threadpost(['check'])
    expect(plain.stdout + plain.stderr).not.toContain('\u001b')
    expect((await threadpost(['check'], { FORCE_COLOR: '1' })).stdout).toMatch(COLOUR)
  })

  // `script`, of util-linux, runs a command in a terminal.
  it.skipIf(!existsSync('/usr/bin/script'))('has colour and a bar on a terminal', async () => {
    const inTerminal = async (env: Record<string, string>): Promise<string> => {
      const args = ['-qec', `'${process.execPath}' '${main}' check`, '/dev/null']
      const { stdout } = await execute('/usr/bin/script', args, {
        cwd: root,
        env: { PATH: process.env['PATH'], TERM: 'xterm-256color', ...env },
      })
      return stdout
    }
    const shown = await inTerminal({})
    expect(shown).toMatch(COLOUR)
    expect(shown).toContain('█')
    expect(await inTerminal({ NO_COLOR: '1' })).not.toMatch(COLOUR)
  })
})

const hasIPv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)

it.skipIf(!hasIPv6)('a worker says where to ask for its health, on IPv6 as well', async () => {
  const folder = await folderOf({})
  const places = ['--transport', `file:${folder}/out`, '--queue', `sqlite:${folder}/outbox.db`]
  const { said } = await startWorker([...places, '--host', '::1', '--port', '0'])
  await expect.poll(() => said.join('\n')).toContain('/healthz')
  const health = /http:\S+/.exec(said.join('\n'))?.[0] ?? ''
  expect((await fetch(health)).status).toBe(200)
})
