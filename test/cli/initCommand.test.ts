import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { appWith, pack, type Tarball } from '../support/tarball.js'

const run = promisify(execFile)
const main = path.resolve(import.meta.dirname, '../../dist/src/cli/main.js')
let tarball: Tarball

beforeAll(async () => {
  tarball = await pack()
})
afterAll(() => tarball.remove())

/** Runs `threadpost init` with the command that is installed in the application. */
async function init(app: string, ...args: string[]): Promise<string> {
  const command = path.join(app, 'node_modules/threadpost/dist/src/cli/main.js')
  const { stdout } = await run(process.execPath, [command, 'init', ...args], { cwd: app })
  return stdout
}

/** Starts the server and returns the URL that it prints. The server stops at the end of the test. */
async function start(app: string, env: Record<string, string> = {}): Promise<string> {
  const server = spawn(process.execPath, ['server.mjs'], {
    cwd: app,
    env: { PATH: process.env['PATH'], PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    const exit = once(server, 'exit')
    server.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
  })
  for await (const line of createInterface({ input: server.stdout })) {
    server.stdout.resume()
    return line
  }
  throw new Error('the server did not start')
}

const signUp = (url: string, email: string): Promise<Response> =>
  fetch(`${url}/signup`, { method: 'POST', body: new URLSearchParams({ name: 'Ada', email }) })

describe('threadpost init', () => {
  it('sets up a folder whose server sends a mail to each new user', async () => {
    const app = await appWith(tarball, { 'package.json': '{\n\t"name": "mine",\n\t"type": "commonjs"\n}\n' })
    expect(await init(app)).toMatch(/completed +package.json\n[^]*Next:\n {2}npm start/)
    const manifest = await readFile(path.join(app, 'package.json'), 'utf8')
    expect(manifest).toMatch(/^\{\n\t"name": "mine",\n\t"type": "commonjs",\n\t"scripts"/)
    expect(JSON.parse(manifest)).toMatchObject({
      scripts: { start: 'node server.mjs' },
      dependencies: { express: expect.any(String), threadpost: expect.any(String) },
    })

    const url = await start(app)
    expect(await (await fetch(url)).text()).toContain('Sign up')
    expect((await signUp(url, 'ada@example.com')).url).toBe(`${url}/inbox/`)
    expect((await signUp(url, 'nobody')).status).toBe(400)
    const arrived = await fetch(`${url}/inbox/api/messages/wait?to=ada@example.com&timeout=60000`)
    expect(await arrived.json()).toMatchObject({ subject: 'Welcome to Acme, Ada' })
  })

  it('copies the templates without their documentation', async () => {
    const app = await appWith(tarball)
    await init(app)
    const copied = await readdir(path.join(app, 'templates'))
    expect(copied).toContain('welcome.mjml')
    expect(copied).not.toContain('README.md')
  })

  it('writes a server that explains what to do about a port in use', async () => {
    const app = await appWith(tarball)
    await init(app)
    const { port } = new URL(await start(app))
    const second = run(process.execPath, ['server.mjs'], {
      cwd: app,
      env: { PATH: process.env['PATH'], PORT: port },
    })
    await expect(second).rejects.toMatchObject({
      code: 1,
      stderr: `listen EADDRINUSE: address already in use 127.0.0.1:${port}; set PORT to use another port\n`,
    })
  })

  it('writes a server that sends to the server in SMTP_URL', async () => {
    const inbox = await testInbox()
    const app = await appWith(tarball)
    await init(app)
    const url = await start(app, { SMTP_URL: inbox.url })
    expect((await signUp(url, 'ada@example.com')).status).toBe(202)
    expect((await inbox.waitFor({ to: 'ada@example.com', timeout: 240_000 })).html).toContain('Ada')
    expect((await fetch(`${url}/inbox`)).status).toBe(404)
  })

  it('sets up types with which an editor reports errors in a mail', async () => {
    const app = await appWith(tarball)
    await init(app)
    expect(typeErrors(app)).toEqual([])
    const file = path.join(app, 'server.mjs')
    const server = await readFile(file, 'utf8')
    await writeFile(file, server.replace('data: { name,', 'data: { nmae: name,'))
    expect(typeErrors(app).join()).toContain("'nmae'")
    await writeFile(file, server.replace("'welcome'", "'welcom'"))
    expect(typeErrors(app).join()).toContain('welcom')
  })

  it('overwrites files only with --force, and package.json never', async () => {
    const dir = await folderOf({
      'package.json': '{ "scripts": { "start": "node mine.js" } }',
      'server.mjs': '// mine',
      'tsconfig.json': '{}',
    })
    const init = (...args: string[]) =>
      run(process.execPath, [main, 'init', dir, '--json', ...args], { cwd: path.dirname(dir) })
    const first = JSON.parse((await init()).stdout) as { steps: object[]; next: string[] }
    expect(first.steps).toContainEqual({ file: 'server.mjs', done: 'kept' })
    expect(first.steps).toContainEqual({ file: path.join('templates', 'welcome.mjml'), done: 'written' })
    expect(first.steps).not.toContainEqual(expect.objectContaining({ file: 'jsconfig.json' }))
    expect(first.next.slice(0, 2)).toEqual([`cd ${dir}`, 'npm install'])
    expect(await readFile(path.join(dir, 'server.mjs'), 'utf8')).toBe('// mine')
    const manifest = await readFile(path.join(dir, 'package.json'), 'utf8')
    expect(JSON.parse(manifest)).toMatchObject({ scripts: { start: 'node mine.js' } })

    const again = JSON.parse((await init()).stdout) as { steps: { done: string }[] }
    expect(again.steps.filter(({ done }) => done !== 'kept')).toEqual([])
    await init('--force')
    expect(await readFile(path.join(dir, 'server.mjs'), 'utf8')).toContain('createMailer')
    expect(await readFile(path.join(dir, 'package.json'), 'utf8')).toBe(manifest)
  })

  it('refuses a package.json that is not JSON', async () => {
    const dir = await folderOf({ 'package.json': '{' })
    await expect(run(process.execPath, [main, 'init', dir])).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is not JSON'),
    })
  })
})

/** Returns TypeScript's errors for the folder, as an editor shows them. */
function typeErrors(app: string): string[] {
  const file = path.join(app, 'jsconfig.json')
  const { config } = ts.readConfigFile(file, (name) => ts.sys.readFile(name)) as { config: object }
  const { fileNames, options, errors } = ts.parseJsonConfigFileContent(
    config,
    ts.sys,
    app,
    { noEmit: true },
    file,
  )
  const program = ts.createProgram(fileNames, options)
  return [...errors, ...ts.getPreEmitDiagnostics(program)].map(({ messageText }) =>
    ts.flattenDiagnosticMessageText(messageText, '\n'),
  )
}
