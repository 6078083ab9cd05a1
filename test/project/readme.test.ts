import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { transform } from 'esbuild'
import { createMailer, STATUSES } from 'threadpost'
import ts from 'typescript'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { startPostgres } from '../support/postgres.js'
import {
  appOf,
  type Block,
  blocks,
  blocksOf,
  chapters,
  promisesOf,
  root,
  titleOf,
} from '../support/readme.js'
import { startRedis } from '../support/redis.js'
import { main, post, serve } from '../support/serve.js'
import { itWith } from '../support/tools.js'

const run = promisify(execFile)

async function scriptOf({ kind, source }: Block): Promise<string> {
  return kind.startsWith('ts') ? (await transform(source, { loader: 'ts', format: 'esm' })).code : source
}

async function printed(source: string): Promise<string[]> {
  const { stdout } = await run(process.execPath, ['app.js'], { cwd: await appOf(source) })
  return stdout.trimEnd().split('\n')
}

/** The kinds of code blocks. Each is tested; a block of another kind would not be. */
const KINDS = [
  '',
  'ts',
  'ts app',
  'js',
  'js server',
  'js redis',
  'js postgres',
  'js test',
  'sh',
  'xml',
  'handlebars',
  'html',
  'ini',
  'dockerfile',
  'yaml',
]

describe('the documentation', () => {
  it('has a root README of at most 300 lines', () => {
    expect(chapters[0]?.page).toBe('README.md')
    expect(chapters[0]?.text.trimEnd().split('\n').length).toBeLessThanOrEqual(300)
  })

  it('has only code blocks that are tested', () => {
    expect(blocks.filter(({ kind }) => !KINDS.includes(kind)).map(titleOf)).toEqual([])
  })

  it('starts with eight lines that send a durable mail', async () => {
    const [first] = blocks.filter(({ kind }) => kind === 'ts')
    expect(first?.page).toBe('README.md')
    const lines = first?.source.trimEnd().split('\n') ?? []
    expect(lines.length).toBeLessThanOrEqual(8)
    expect(first?.source).toContain("queue: 'sqlite:")
    const ending = 'console.log((await mailer.wait(id)).status)\nawait mailer.close()\n'
    expect(await printed((await scriptOf(first!)) + ending)).toEqual(['sent'])
  })

  it('embeds threadpost into an Express app in 12 lines', async () => {
    const [block] = blocksOf('ts app')
    const source = await scriptOf(block!)
    const body = block!.source.split('\n').filter((line) => line !== '' && !line.startsWith('import'))
    expect(body.length).toBeLessThanOrEqual(12)

    const inbox = await testInbox()
    const listening = source.replace(
      '.listen(3e3)',
      '.listen(0, "127.0.0.1", function () { process.send(this.address().port) })',
    )
    expect(listening).not.toBe(source)
    const app = spawn(process.execPath, ['app.js'], {
      cwd: await appOf(listening),
      env: { ...process.env, SMTP_URL: inbox.url },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    onTestFinished(async () => {
      app.kill()
      if (app.exitCode === null && app.signalCode === null) await once(app, 'exit')
    })
    const [port] = (await once(app, 'message')) as [number]
    const signUp = (body: object): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}/signup`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    const response = await signUp({ name: 'Ada', email: 'ada@example.com' })
    expect(response.status).toBe(202)
    for (const body of [{ name: 'Ada', email: 'nobody' }, { email: 'ada@example.com' }, {}])
      expect((await signUp(body)).status).toBe(400)
    expect(await response.json()).toHaveProperty('id')
    expect((await inbox.waitFor({ to: 'ada@example.com', timeout: 240_000 })).html).toContain('Ada')
  })

  const [, ...typed] = blocksOf('ts')
  it.each([...typed, ...blocksOf('js')].map((block) => [titleOf(block), block] as const))(
    'has a code block that prints what its comments say: %s',
    async (_, block) => {
      const promised = promisesOf(block.source)
      expect(promised.length).toBeGreaterThan(0)
      expect(await printed(await scriptOf(block))).toEqual(promised)
    },
  )

  it('has TypeScript blocks that compile', async () => {
    const typescript = blocks.filter(({ kind }) => /^ts\b/.test(kind))
    const files = await folderOf(
      Object.fromEntries(typescript.map(({ source }, index) => [`block${index}.mts`, source])),
    )
    const program = ts.createProgram(
      typescript.map((_, index) => path.join(files, `block${index}.mts`)),
      {
        strict: true,
        noEmit: true,
        skipLibCheck: true,
        noUncheckedIndexedAccess: true,
        types: ['node'],
        typeRoots: [path.join(root, 'node_modules/@types')],
        module: ts.ModuleKind.NodeNext,
        target: ts.ScriptTarget.ES2023,
        paths: {
          threadpost: [path.join(root, 'dist/src/index.d.ts')],
          'threadpost/*': [path.join(root, 'dist/src/*/index.d.ts')],
          express: [path.join(root, 'node_modules/@types/express/index.d.ts')],
        },
      },
    )
    const problems = ts.getPreEmitDiagnostics(program).map(({ file, start = 0, messageText }) => {
      const index = Number(/block(\d+)\.mts$/.exec(file?.fileName ?? '')?.[1] ?? 0)
      const line = (typescript[index]?.line ?? 0) + (file?.getLineAndCharacterOfPosition(start).line ?? 0)
      return `${typescript[index]?.page}:${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
    })
    expect(problems).toEqual([])
  })

  itWith(['redis-server'], 'has a Redis example in which several processes send mail', async (tools) => {
    const settings = ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction']
    const redis = await startRedis(tools['redis-server'], settings)
    onTestFinished(() => redis.close())
    const [block] = blocksOf('js redis')
    const source = block!.source
    expect(await printed(source.replace('redis://127.0.0.1:6379', redis.url))).toEqual(promisesOf(source))
  })

  itWith(
    ['postgres'],
    'has a Postgres example in which an order and its mail are one commit',
    async (tools) => {
      const postgres = await startPostgres(tools.postgres)
      onTestFinished(() => postgres.close())
      const [block] = blocksOf('js postgres')
      const source = block!.source
      const script = source.replace('postgres://postgres@127.0.0.1:5432/postgres', postgres.url)
      expect(script).not.toBe(source)
      expect(await printed(script)).toEqual(promisesOf(source))
    },
  )

  it.each([
    ['MJML', 'xml', 'welcome.mjml'],
    ['HTML', 'html', 'welcome.html'],
  ])('has a template in %s that compiles once and sets the subject', async (_, kind, file) => {
    const templates = await folderOf({ [file]: blocksOf(kind)[0]?.source ?? '' })
    const mailer = await createMailer({ transport: 'smtp://127.0.0.1:1', templates, threads: 0 })
    onTestFinished(() => mailer.close())
    expect(await mailer.inspect('welcome')).toMatchObject({ findings: [], warnings: [] })
    const data = { name: 'Ada', url: 'https://acme.example/start' }
    const { subject, preheader, text } = await mailer.render('welcome', data)
    expect([subject, preheader]).toEqual(['Welcome, Ada', 'Your account is ready.'])
    expect(text).toContain('https://acme.example/start')
  })

  it('has a layout, and a template that extends it', async () => {
    const files = {
      'layouts/plain.mjml': blocksOf('xml').find(({ source }) => source.includes('{{#block'))?.source ?? '',
      'welcome.mjml': blocksOf('handlebars')[0]?.source ?? '',
    }
    const templates = await folderOf(files)
    const mailer = await createMailer({ transport: 'smtp://127.0.0.1:1', templates, threads: 0 })
    onTestFinished(() => mailer.close())
    const { subject, text } = await mailer.render('welcome', { name: 'Ada' })
    expect([subject, text.trim()]).toEqual(['Welcome, Ada', 'Hello Ada'])
  })

  it('has a test for node:test that passes', async () => {
    const [block] = blocksOf('js test')
    // A slow machine may take longer than the five seconds that expectMail() waits by default.
    const patient = block!.source.replace('/^Welcome/ })', '/^Welcome/ }, { timeout: 100_000 })')
    expect(patient).not.toBe(block!.source)
    const { stdout } = await run(process.execPath, ['--test', 'app.js'], { cwd: await appOf(patient) })
    expect(stdout).toContain('# pass 1')
  })
})

describe('the commands of the documentation', () => {
  /** One command each; a line that ends with a backslash goes on in the next. */
  const commands = blocksOf('sh').flatMap(({ source }) =>
    source
      .replaceAll('\\\n', ' ')
      .trim()
      .split(/\n| && /),
  )
  const inTables = chapters.flatMap(({ text }) =>
    [...text.matchAll(/`((?:npx )?(?:threadpost|node|npm run) [^`]+)`/g)].map(([, line = '']) => line),
  )

  it('has a request for curl that the service accepts', async () => {
    const [request = ''] = blocksOf('sh').flatMap(({ source }) =>
      source.startsWith('curl ') ? [source] : [],
    )
    const [body = ''] = /(?<=-d ').*(?=')/.exec(request) ?? []
    const { url } = await serve({})
    expect((await post(url, JSON.parse(body) as object)).status).toBe(202)
    expect(request).toContain(' http://127.0.0.1:3000/mail/messages ')
  })

  it('uses commands, flags and scripts that exist', async () => {
    const { scripts } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    const help = new Map<string, string>()
    const lines = [...commands, ...inTables]
    expect(lines.length).toBeGreaterThan(20)
    for (const line of lines) {
      const [program = '', ...words] = line.replace(/^npx (?=threadpost )/, '').split(' ')
      const [first = ''] = words
      if (program === 'npm' && first === 'run') expect(Object.keys(scripts)).toContain(words[1])
      if (program === 'node') expect([line, existsSync(path.join(root, first))]).toEqual([line, true])
      if (program === 'node' && first.endsWith('/bench.mjs')) words.unshift('bench')
      if ((program !== 'threadpost' || first === 'COMMAND') && words[0] !== 'bench') continue
      const [command = ''] = words
      if (!help.has(command))
        help.set(command, (await run(process.execPath, [main, command, '--help'])).stdout)
      for (const flag of words.filter((word) => word.startsWith('--')))
        expect([line, help.get(command)]).toEqual([
          line,
          expect.stringMatching(new RegExp(`^ +(?:-\\w, )?${flag}\\b`, 'm')),
        ])
    }
  })
})

describe('the diagram of the statuses', () => {
  const diagrams = async (): Promise<string[]> => {
    const contributing = await readFile(path.join(root, 'CONTRIBUTING.md'), 'utf8')
    const reference = chapters.find(({ page }) => page === 'src/README.md')?.text ?? ''
    const source = await readFile(path.join(root, 'src/message/messageState.ts'), 'utf8')
    const inSource = /^ \*( +newState\(\).*?)^ \*\//ms.exec(source)?.[1] ?? ''
    return [
      ...[contributing, reference].map((text) => /^```\n( +newState\(\).*?)^```$/ms.exec(text)?.[1] ?? ''),
      inSource.replace(/^ \* ?/gm, '').replace(/^ /, ''),
    ]
  }

  it('is the same for users, for contributors and in the source, and shows every status', async () => {
    const [one = '', ...others] = await diagrams()
    expect(others).toEqual([one, one])
    for (const status of STATUSES) expect(one).toContain(status)
  })

  it('names functions that exist', async () => {
    const [diagram = ''] = await diagrams()
    const made = [...diagram.matchAll(/(?<![.\w])(newState|enter|settle|redrive|markSent)\(/g)].map(
      ([, name]) => name,
    )
    const state: Record<string, unknown> = await import('../../src/message/messageState.js')
    expect(new Set(made).size).toBe(5)
    for (const name of made) expect(state[name ?? '']).toBeTypeOf('function')
  })
})
