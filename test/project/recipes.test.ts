import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { answers, freePort } from '../support/ports.js'
import { appOf, blocksOf, root } from '../support/readme.js'
import { main } from '../support/serve.js'

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
