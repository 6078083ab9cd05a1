import { generateKeyPairSync } from 'node:crypto'
import path from 'node:path'
import type { MessageEvent, TransportInput } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox, testMailer } from '../support/mailer.js'

const mail = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

describe('resolveTransport', () => {
  it.each<[TransportInput, string]>([
    [{ url: 'smtp://192.0.9.1', failover: 'other' }, 'transport.failover: it would send the mail over'],
    [{ spread: { other: 1 } }, 'transport.spread: it would send the mail over'],
    ['ses://eu-central-1', 'transport.credentials: without them'],
    [
      { url: 'ses:', region: 'x.example/#', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } },
      'transport.region: is not a name',
    ],
    ['smtp://168.63.129.16', 'private address'],
  ])(
    'holds the mail of a transport that leads to what belongs to the application: %j',
    async (transport, reason) => {
      const inbox = await testInbox()
      const mailer = await testMailer({
        transports: { other: inbox.url },
        resolveTransport: () => transport,
      })
      const held = new Promise<MessageEvent>((resolve) => mailer.once('held', resolve))
      await mailer.send({ ...mail, transport: 'tenant' })
      expect((await held).outcome?.message).toContain(reason)
      expect(inbox.count).toBe(0)
    },
  )

  it('reads no key from a file, says the same about every file, and takes a key as text', async () => {
    const inbox = await testInbox({ keep: 10 })
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const folder = await folderOf({ 'key.pem': pem, 'other.txt': 'x' })
    const from = { domain: 'acme.example', selector: 's' }
    const told = new Set<string | undefined>()
    for (const file of ['key.pem', 'other.txt', 'absent'])
      for (const list of [false, true]) {
        const key = { ...from, keyFile: path.join(folder, file) }
        const mailer = await testMailer({
          resolveTransport: () => ({ url: 'smtp://mail.example', dkim: list ? [key] : key }),
        })
        const held = new Promise<MessageEvent>((resolve) => mailer.once('held', resolve))
        await mailer.send({ ...mail, transport: 'tenant' })
        told.add((await held).outcome?.message)
      }
    expect([...told]).toEqual([
      expect.stringContaining('transport.dkim.keyFile: files on this machine are not read'),
    ])
    for (const key of [{ privateKey: pem }, { keyFile: path.join(folder, 'key.pem') }]) {
      const mailer = await testMailer({
        resolveTransport: () => ({ url: inbox.url, dkim: { ...from, ...key }, allowPrivateHosts: true }),
      })
      expect((await mailer.sendAndWait({ ...mail, transport: 'tenant' })).status).toBe('sent')
    }
    const mailer = await testMailer({
      resolveTransport: () => ({ url: 'smtp://127.0.0.1', dkim: { ...from, privateKey: pem } }),
    })
    const held = new Promise<MessageEvent>((resolve) => mailer.once('held', resolve))
    await mailer.send({ ...mail, transport: 'tenant' })
    // The key is accepted: only the host is refused.
    expect((await held).outcome?.message).toContain('private address')
  })

  it('distributes to the transports of the application if its settings are trusted', async () => {
    const inbox = await testInbox()
    const mailer = await testMailer({
      transports: { other: inbox.url },
      resolveTransport: () => ({ spread: { other: 1 }, allowPrivateHosts: true }),
    })
    expect((await mailer.sendAndWait({ ...mail, transport: 'tenant' })).status).toBe('sent')
  })
})
