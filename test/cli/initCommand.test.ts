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
    })
    const init = (...args: string[]) =>
      run(process.execPath, [main, 'init', dir, '--json', ...args], { cwd: path.dirname(dir) })
    const first = JSON.parse((await init()).stdout) as { steps: object[]; next: string[]; notes: string[] }
    expect(first.steps).toContainEqual({ file: 'server.mjs', done: 'kept' })
    expect(first.steps).toContainEqual({ file: path.join('templates', 'welcome.mjml'), done: 'written' })
    expect(first.next.slice(0, 2)).toEqual([`cd ${dir}`, 'npm install'])
    expect(await readFile(path.join(dir, 'server.mjs'), 'utf8')).toBe('// mine')
    const manifest = await readFile(path.join(dir, 'package.json'), 'utf8')
    expect(JSON.parse(manifest)).toMatchObject({
      scripts: { start: 'node mine.js', 'start:mail': 'node server.mjs' },
    })
    expect(first.notes).toEqual([expect.stringContaining('"start:mail"')])
    expect(first.next.join()).toContain('npm run start:mail')

    const again = JSON.parse((await init()).stdout) as { steps: { done: string }[] }
    expect(again.steps.filter(({ done }) => done !== 'kept')).toEqual([])
    await init('--force')
    expect(await readFile(path.join(dir, 'server.mjs'), 'utf8')).toContain('createMailer')
    expect(await readFile(path.join(dir, 'package.json'), 'utf8')).toBe(manifest)
  })

  it.each([
    ['["src"]', 'src/', 0],
    ['["./src/**/*.ts"]', 'src/', 0],
    ['["app"]', 'app/', 0],
    [undefined, 'src/', 0],
    ['["lib/main.ts"]', 'src/', 1],
  ] as const)(
    'writes a TypeScript server and its types where "include": %s sees them, or explains what to add',
    async (include, folder, notes) => {
      const settings = include === undefined ? '' : `, "include": ${include}`
      const app = await appWith(tarball, {
        'tsconfig.json': `{ // strict
          "compilerOptions": { "strict": true, "module": "nodenext", "target": "es2023", "skipLibCheck": true, "types": ["node"] }${settings}, }`,
        'src/other.ts': 'export const other = 1\n',
      })
      const result = JSON.parse(await init(app, '--json')) as { steps: object[]; notes: string[] }
      for (const name of ['server.ts', 'threadpost.d.ts'])
        expect(result.steps).toContainEqual({ file: path.normalize(folder + name), done: 'written' })
      expect(result.notes).toHaveLength(notes)
      const manifest = JSON.parse(await readFile(path.join(app, 'package.json'), 'utf8')) as {
        scripts: object
      }
      expect(manifest.scripts).toMatchObject({
        start: expect.stringMatching(`(node|tsx) ${folder}server.ts$`) as string,
        types: `threadpost types --out ${folder}threadpost.d.ts`,
      })
      if (notes > 0) return
      expect(typeErrors(app, 'tsconfig.json')).toEqual([])
      const file = path.join(app, folder, 'server.ts')
      await writeFile(file, (await readFile(file, 'utf8')).replace("'welcome'", "'welcom'"))
      expect(typeErrors(app, 'tsconfig.json').join()).toContain('welcom')
    },
  )

  it('writes a TypeScript server that runs', async () => {
    const app = await appWith(tarball, { 'tsconfig.json': '{ "include": ["src"] }' })
    await init(app)
    const code = await readFile(path.join(app, 'src/server.ts'), 'utf8')
    const { outputText } = ts.transpileModule(code, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023 },
    })
    await writeFile(path.join(app, 'server.mjs'), outputText)
    const url = await start(app)
    expect((await signUp(url, 'ada@example.com')).url).toBe(`${url}/inbox/`)
  })

  it('writes a server that works with Express 4, and keeps its version', async () => {
    const app = await appWith(tarball, {
      'package.json': '{ "type": "module", "dependencies": { "express": "^4.21.0" } }',
    })
    await init(app)
    const manifest = JSON.parse(await readFile(path.join(app, 'package.json'), 'utf8')) as object
    expect(manifest).toMatchObject({
      dependencies: { express: '^4.21.0' },
      devDependencies: { '@types/express': expect.stringMatching(/^\^4/) },
    })
    const file = path.join(app, 'server.mjs')
    await writeFile(file, (await readFile(file, 'utf8')).replace("from 'express'", "from 'express-4'"))
    const url = await start(app)
    expect((await signUp(url, 'ada@example.com')).url).toBe(`${url}/inbox/`)
    const refused = await signUp(url, 'nobody')
    expect([refused.status, await refused.text()]).toEqual([
      400,
      expect.stringContaining('valid email address'),
    ])
    expect((await fetch(`${url}/mail/`)).status).toBe(200)
  })

  it.each([
    ['pnpm-lock.yaml', '{}', ['pnpm install', /^pnpm approve-builds/, /^pnpm start/, /^pnpm types --watch/]],
    ['yarn.lock', '{}', ['yarn install', /^yarn start/, /^yarn types --watch/]],
    ['package-lock.json', '{}', ['npm install', /^npm start/, /^npm run types -- --watch/]],
    [
      'nothing',
      '{ "packageManager": "pnpm@10.0.0" }',
      ['pnpm install', /^pnpm approve-builds/, /^pnpm start/],
    ],
  ] as const)(
    'names the commands of the package manager of the project: %s',
    async (lock, manifest, commands) => {
      const dir = await folderOf({ 'package.json': manifest, [lock]: '' })
      const { stdout } = await run(process.execPath, [main, 'init', '--json'], { cwd: dir })
      const { next } = JSON.parse(stdout) as { next: string[] }
      for (const [index, command] of commands.entries())
        expect(next[index]).toEqual(typeof command === 'string' ? command : expect.stringMatching(command))
    },
  )

  it('refuses a package.json that is not JSON', async () => {
    const dir = await folderOf({ 'package.json': '{' })
    await expect(run(process.execPath, [main, 'init', dir])).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is not JSON'),
    })
  })
})

/** Returns TypeScript's errors for the folder, as an editor shows them. */
function typeErrors(app: string, name = 'jsconfig.json'): string[] {
  const file = path.join(app, name)
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
