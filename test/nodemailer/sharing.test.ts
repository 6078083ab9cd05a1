import { readdirSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createTransport, type OffloadOptions, type Transporter } from 'threadpost/nodemailer'
import { describe, expect, it, onTestFinished } from 'vitest'
import { testInbox } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const hello = { from: 'sender@server.example', to: 'ada@example.com', subject: 'Hello', text: 'Hi' }

function open(url: string, options: OffloadOptions = {}): Transporter {
  const transporter = createTransport(url, {}, options)
  onTestFinished(() => transporter.close())
  return transporter
}

async function closeAll(transporters: readonly Transporter[]): Promise<void> {
  await Promise.all(transporters.map((transporter) => transporter.close()))
}

const threads = (): number => readdirSync('/proc/self/task').length

describe('transporters in one process', () => {
  it.skipIf(process.platform !== 'linux')('share their threads', async () => {
    const inbox = await testInbox({ keep: 1_000 })
    const pool = { pool: true, host: inbox.host, port: inbox.port }
    const first = createTransport(pool)
    onTestFinished(() => first.close())
    await first.sendMail(hello)
    const before = threads()
    const others = Array.from({ length: 20 }, () => createTransport(pool))
    onTestFinished(() => closeAll(others))
    await Promise.all(others.map((other) => other.sendMail(hello)))
    expect(threads()).toBe(before)
    expect(inbox.count).toBe(21)
  })

  it('send over their own server, with their own settings', async () => {
    const servers = await Promise.all(Array.from({ length: 5 }, () => ScriptedServer.start()))
    const transporters = servers.map(({ port }, index) =>
      createTransport({ host: '127.0.0.1', port, name: `client${index}.example` }),
    )
    onTestFinished(() => closeAll(transporters))
    await Promise.all(
      transporters.map((transporter, index) => transporter.sendMail({ ...hello, subject: `for ${index}` })),
    )
    for (const [index, server] of servers.entries()) {
      expect(server.messages.map(({ data }) => /Subject: (.*)\r/.exec(data)?.[1])).toEqual([`for ${index}`])
      expect(server.conversations[0]?.commands[0]).toBe(`EHLO client${index}.example`)
    }
    await expect(Promise.all(transporters.map((each) => each.verify()))).resolves.toEqual(
      servers.map(() => true),
    )
  })

  it('do not wait for the slow server of another', async () => {
    const silent = createServer((socket: Socket) => void socket.on('error', () => undefined))
    const sockets: Socket[] = []
    silent.on('connection', (socket) => sockets.push(socket))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
      silent.close()
    })
    const stuck = open(`smtp://127.0.0.1:${(silent.address() as AddressInfo).port}`, { timeout: Infinity })
    for (let index = 0; index < 60; index++) stuck.sendMail(hello).catch(() => undefined)
    await expect.poll(() => sockets.length).toBeGreaterThan(0)
    const inbox = await testInbox()
    expect((await open(inbox.url).sendMail(hello)).accepted).toEqual(['ada@example.com'])
    for (const socket of sockets) socket.destroy()
  })

  it('go on when another is closed, which closes its own connections', async () => {
    const [a, b] = [await ScriptedServer.start(), await ScriptedServer.start()]
    const options = { pool: true, host: '127.0.0.1' } as const
    const first = createTransport({ ...options, port: a.port })
    const second = createTransport({ ...options, port: b.port })
    onTestFinished(() => second.close())
    await Promise.all([first.sendMail(hello), second.sendMail(hello)])
    await first.close()
    expect(a.conversations.map(({ commands }) => commands.at(-1))).toEqual(['QUIT'])
    expect(b.conversations.map(({ commands }) => commands.at(-1))).toEqual(['.'])
    await second.sendMail(hello)
    expect(b.messages).toHaveLength(2)
  })

  it('start again after all were closed', async () => {
    const inbox = await testInbox()
    for (let round = 0; round < 2; round++) {
      const transporter = createTransport(inbox.url)
      await transporter.sendMail(hello)
      await transporter.close()
    }
    expect(inbox.count).toBe(2)
  })
})
