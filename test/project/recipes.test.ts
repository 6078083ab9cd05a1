import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { answers, freePort } from '../support/ports.js'
import { startPostgres } from '../support/postgres.js'
import { appOf, blocksOf, root } from '../support/readme.js'
import { main, post } from '../support/serve.js'
import { itWith } from '../support/tools.js'

const run = promisify(execFile)

describe('the restart recipe', () => {
  it('loses no message and sends none twice', async () => {
    const inbox = await testInbox({ faults: [{ at: 'dot', do: 'delay', ms: 20 }] })
    const source = blocksOf('js server')[0]?.source ?? ''
    const cwd = await appOf(source)
    const port = await freePort()
    const start = async (): Promise<ChildProcess> => {
      const child = spawn(process.execPath, ['app.js'], {
        cwd,
        env: { PATH: process.env['PATH'], PORT: String(port), SMTP_URL: inbox.url },
        stdio: ['ignore', 'inherit', 'inherit'],
      })
      onTestFinished(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill('SIGKILL')
        await once(child, 'exit')
      })
      while (!(await answers(port))) {
        if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      return child
    }

    const first = await start()
    const accepted = new Set<string>()
    const requests = Array.from({ length: 200 }, async () => {
      const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)
      if (response?.status === 202) accepted.add(await response.text())
      if (accepted.size === 60) first.kill('SIGTERM')
    })
    const [code] = (await once(first, 'exit')) as [number]
    expect(code).toBe(0)
    await Promise.all(requests)
    expect(accepted.size).toBeGreaterThanOrEqual(60)

    const second = await start()
    while (inbox.count < accepted.size) await new Promise((resolve) => setTimeout(resolve, 10))
    second.kill('SIGTERM')
    await once(second, 'exit')
    const ids = (await inbox.messages()).map(({ messageId = '' }) => messageId.slice(1).split('@')[0])
    expect(ids.sort()).toEqual([...accepted].sort())
  })
})

describe('the service files', () => {
  const unit = blocksOf('ini')[0]?.source ?? ''
  const containerfile = blocksOf('dockerfile')[0]?.source ?? ''
  const [script, ...unitArguments] = (/^ExecStart=\S+ (.*)$/m.exec(unit)?.[1] ?? '').split(' ')
  const inContainer = JSON.parse(/^CMD (.*)$/m.exec(containerfile)?.[1] ?? '[]') as string[]

  it.each([
    ['the unit', script, unitArguments],
    ['the container', inContainer[1], inContainer.slice(2)],
  ])('%s names a script and flags that exist', async (_, file = '', given) => {
    expect(existsSync(path.join(root, file.split('node_modules/threadpost/')[1] ?? 'nowhere'))).toBe(true)
    const [command = '', ...flags] = given
    const { stdout: help } = await run(process.execPath, [main, command, '--help'])
    const names = flags.filter((flag) => flag.startsWith('--'))
    expect(names.length).toBeGreaterThan(3)
    for (const name of names) expect(help).toMatch(new RegExp(`^ +(?:-\\w, )?${name} `, 'm'))
    const variables = ['THREADPOST_TRANSPORT', 'THREADPOST_FROM', 'THREADPOST_TOKEN']
    for (const variable of variables) expect(help).toContain(variable)
  })

  it.skipIf(!existsSync('/usr/bin/systemd-analyze'))('the unit is one to systemd', async () => {
    const here = unit.replace(/^ExecStart=\S+/m, `ExecStart=${process.execPath}`)
    const folder = await folderOf({ env: '' })
    const file = path.join(folder, 'threadpost.service')
    await writeFile(file, here.replace('/etc/threadpost.env', path.join(folder, 'env')))
    const { stderr } = await run('systemd-analyze', ['verify', '--recursive-errors=no', file])
    expect(stderr.split('\n').filter((line) => line.includes('threadpost.service'))).toEqual([])
  })
})

interface Service {
  command?: string[]
  environment?: Record<string, string>
  ports?: string[]
  volumes?: string[]
  healthcheck?: { test: string[] }
  depends_on?: Record<string, { condition: string }>
}

describe('the compose file', () => {
  const compose = parse(blocksOf('yaml').find(({ source }) => source.includes('services:'))?.source ?? '', {
    merge: true,
  }) as { services: Record<string, Service>; volumes: Record<string, object> }
  const containerfile = blocksOf('dockerfile')[0]?.source ?? ''
  const { mail, worker } = compose.services as { mail: Service; worker: Service }

  /** The command that a service runs in the container, as it would run here. */
  const argumentsOf = ({ command = [] }: Service) =>
    command.slice(1).map((word) => word.replace(/^node_modules\/threadpost\//, `${root}/`))

  it('names volumes, dependencies, and settings that exist', async () => {
    for (const { depends_on = {}, volumes = [] } of Object.values(compose.services)) {
      for (const [name, { condition }] of Object.entries(depends_on)) {
        expect(compose.services[name]).toBeDefined()
        if (condition === 'service_healthy') expect(compose.services[name]?.healthcheck).toBeDefined()
      }
      for (const volume of volumes) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0])
    }
    for (const service of [mail, worker]) {
      expect(service.command?.[0]).toBe('node')
      const [file = '', command = '', ...flags] = argumentsOf(service)
      expect(existsSync(file)).toBe(true)
      const { stdout: help } = await run(process.execPath, [file, command, '--help'])
      for (const flag of flags.filter((word) => word.startsWith('--'))) expect(help).toContain(` ${flag} <`)
      for (const variable of Object.keys(service.environment ?? {}).filter((name) => name !== 'NODE_ENV'))
        if (variable !== 'THREADPOST_TOKEN' || command === 'serve') expect(help).toContain(variable)
    }
    // The port that is published is the one that the container file exposes, and that the service listens on.
    expect(containerfile).toMatch(/^EXPOSE 3000$/m)
    expect(mail.ports).toEqual(['127.0.0.1:3000:3000'])
    expect(mail.command?.join(' ')).toContain('--host 0.0.0.0 --port 3000')
    expect(containerfile).toContain('http://127.0.0.1:3000/mail/healthz')
    // The copied files are in every app that npm and threadpost set up.
    const copied = [...containerfile.matchAll(/^COPY (.*) \S+$/gm)].flatMap(([, from = '']) =>
      from.split(' '),
    )
    expect(copied).toEqual(['package.json', 'package-lock.json', 'templates'])
  })

  itWith(['postgres'], 'has services that are healthy, share the queue, and deliver', async (tools) => {
    const postgres = await startPostgres(tools.postgres)
    onTestFinished(() => postgres.close())
    const inbox = await testInbox()
    const token = 'a-long-random-secret'
    const ports = { 3000: await freePort(), 9000: await freePort() }
    const here = (text: string) =>
      text
        .replace('0.0.0.0', '127.0.0.1')
        .replace(/\b(3000|9000)\b/, (port) => String(ports[port as '3000' | '9000']))
        .replace(/^postgres:.*/, postgres.url)
        .replace(/^\$\{(\w+):\?\}$/, (_, name: string) => String(given[name]))
    const given: Record<string, string> = {
      THREADPOST_TRANSPORT: inbox.url,
      THREADPOST_FROM: 'Acme <hello@acme.example>',
      THREADPOST_TOKEN: token,
    }
    for (const service of [mail, worker]) {
      const settings = Object.entries(service.environment ?? {}).map(([name, value]) => [name, here(value)])
      const child = spawn(process.execPath, argumentsOf(service).map(here), {
        cwd: root,
        env: { PATH: process.env['PATH'], ...(Object.fromEntries(settings) as Record<string, string>) },
        stdio: ['ignore', 'ignore', 'inherit'],
      })
      onTestFinished(async () => {
        if (child.exitCode !== null || child.signalCode !== null) return
        child.kill('SIGTERM')
        await once(child, 'exit')
      })
    }
    const ofContainer = JSON.parse(/^HEALTHCHECK CMD (.*)$/m.exec(containerfile)?.[1] ?? '[]') as string[]
    for (const check of [ofContainer, worker.healthcheck?.test.slice(1) ?? []])
      await expect
        .poll(() =>
          run(process.execPath, check.slice(1).map(here)).then(
            () => 'healthy',
            () => 'not yet',
          ),
        )
        .toBe('healthy')

    const url = `http://127.0.0.1:${ports[3000]}`
    const message = { to: 'ada@example.com', subject: 'Hello', text: 'Hello' }
    expect((await post(url, message, { authorization: `Bearer ${token}` })).status).toBe(202)
    expect((await inbox.waitFor({ to: 'ada@example.com' })).subject).toBe('Hello')
  })
})
