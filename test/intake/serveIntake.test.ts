import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { ACME, clientOf, MESSAGE, plainToken, submit } from '../support/intake.js'
import { testInbox } from '../support/mailer.js'
import { environment, main } from '../support/serve.js'

describe('threadpost serve --smtp-port', () => {
  it('accepts mail from the users of a file, and relays it', async () => {
    const inbox = await testInbox()
    const users = JSON.stringify([{ user: 'shop', pass: 'secret', senders: ['acme.example'] }])
    const folder = await folderOf({ 'users.json': users })
    const child = spawn(process.execPath, [main, 'serve', '--json', '--port', '0'], {
      env: {
        ...environment,
        THREADPOST_SMTP_PORT: '0',
        THREADPOST_SMTP_USERS: path.join(folder, 'users.json'),
        THREADPOST_TRANSPORT: inbox.url,
        THREADPOST_QUEUE: `sqlite:${path.join(folder, 'outbox.db')}`,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
    const { intakes } = JSON.parse(line) as { intakes: { name: string; url: string }[] }
    const client = await clientOf({ port: Number(new URL(intakes[0]?.url ?? '').port) })
    expect(await client.ask(`MAIL FROM:<${ACME}>`)).toMatch(/^530 /)
    await client.ask(`AUTH PLAIN ${plainToken('shop', 'secret')}`)
    expect(await submit(client)).toMatch(/^250 2\.6\.0 Queued as [0-9a-f-]{36}$/)
    expect((await inbox.waitFor()).text).toBe(`${MESSAGE.at(-1)}\n`)
    child.kill('SIGTERM')
    const [code] = (await once(child, 'exit')) as [number]
    expect(code).toBe(0)
  })
})
