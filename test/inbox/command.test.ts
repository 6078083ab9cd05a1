import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { createTransport } from 'nodemailer'
import { expect, onTestFinished, test } from 'vitest'
import { main } from '../support/serve.js'

const run = promisify(execFile)

test('threadpost inbox receives mail, shows it, prints it as JSON, and stops on a signal', async () => {
  const args = [main, 'inbox', '--port', '0', '--smtp-port', '0', '--json']
  const child: ChildProcessByStdio<null, Readable, null> = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async () => JSON.parse(String((await lines.next()).value))
  const { event, smtp, url } = await next()
  expect(event).toBe('listening')

  const transport = createTransport(smtp)
  await transport.sendMail({ from: 'a@a.example', to: 'b@b.example', subject: 'Hi', text: 'there' })
  transport.close()
  expect(await next()).toMatchObject({ event: 'received', envelope: { to: ['b@b.example'] } })
  const found = await fetch(`${url}/api/messages/wait?to=b@b.example`)
  expect(await found.json()).toMatchObject({ subject: 'Hi', text: expect.stringContaining('there') })
  expect(await (await fetch(url)).text()).toContain('b@b.example')

  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('threadpost inbox explains an invalid option', async () => {
  const failing = (...args: string[]) =>
    run(process.execPath, [main, 'inbox', ...args]).catch((e: unknown) => e)
  expect(await failing('--host', '0.0.0.0')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--open-to-all'),
  })
})
