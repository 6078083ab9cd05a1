import { createHash, createVerify, generateKeyPairSync } from 'node:crypto'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testMailer } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

/** Relaxed canonicalization (RFC 6376 section 3.4.2). */
const relaxed = (field: string) => {
  const colon = field.indexOf(':')
  const value = field
    .slice(colon + 1)
    .replace(/\r\n/g, '')
    .replace(/[ \t]+/g, ' ')
    .trim()
  return `${field.slice(0, colon).toLowerCase().trim()}:${value}`
}

/** An independent check of the first signature, by the letter of RFC 6376. @returns its tags */
function verified(message: string): Record<string, string> {
  const end = message.indexOf('\r\n\r\n')
  const fields = message.slice(0, end).split(/\r\n(?![ \t])/)
  const signature = fields.find((field) => /^dkim-signature:/i.test(field)) ?? ''
  const tags = Object.fromEntries(
    signature
      .slice(signature.indexOf(':') + 1)
      .split(';')
      .map((tag) => [
        tag.slice(0, tag.indexOf('=')).trim(),
        tag.slice(tag.indexOf('=') + 1).replace(/\s+/g, ''),
      ]),
  ) as Record<string, string>

  const body = message
    .slice(end + 4)
    .replace(/[ \t]+(?=\r\n)/g, '')
    .replace(/[ \t]+/g, ' ')
    .replace(/(\r\n)*$/, '\r\n')
  expect(tags['bh']).toBe(createHash('sha256').update(body, 'latin1').digest('base64'))

  const left = [...fields]
  const signed = (tags['h'] ?? '').split(':').flatMap((name) => {
    const at = left.findLastIndex((field) => field.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    return at < 0 ? [] : [relaxed(left.splice(at, 1)[0] ?? '')]
  })
  const own = relaxed(signature.replace(/(\bb=)[^;]*$/, '$1'))
  const verifier = createVerify('RSA-SHA256').update([...signed, own].join('\r\n'), 'latin1')
  expect(verifier.verify(publicKey, tags['b'] ?? '', 'base64')).toBe(true)
  return tags
}

describe('DKIM', () => {
  it('signs mail to the embedded inbox', async () => {
    const dkim = { domain: 'acme.example', selector: 'one', privateKey: pem }
    const mailer = await testMailer({ transport: { url: 'inbox:', dkim } })
    await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hello' })
    const received = await mailer.inbox!.waitFor()
    expect(verified(Buffer.from(received.raw).toString('latin1'))).toMatchObject({
      d: 'acme.example',
      s: 'one',
    })
  })

  it('names a domain of any script by its A-labels', async () => {
    const dkim = { domain: 'bücher.example', selector: 'one', privateKey: pem }
    const mailer = await testMailer({ transport: { url: 'inbox:', dkim }, from: 'hello@bücher.example' })
    await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hello' })
    const received = await mailer.inbox!.waitFor()
    expect(verified(Buffer.from(received.raw).toString('latin1'))['d']).toBe('xn--bcher-kva.example')
  })

  it.each([
    ['a message built here', {}],
    ['one with an attachment', { attachments: [{ filename: 'a.txt', content: 'hello' }] }],
  ])('signs %s, with a key from a file', async (_, extra) => {
    const folder = await folderOf({ 'dkim.pem': pem })
    const server = await ScriptedServer.start()
    const mailer = await testMailer({
      transport: {
        url: `smtp://127.0.0.1:${server.port}`,
        dkim: { domain: 'acme.example', selector: 'mail', keyFile: path.join(folder, 'dkim.pem') },
      },
    })
    await mailer.sendAndWait({
      to: 'ada@example.com',
      subject: 'Grüße  und   mehr',
      html: '<p>Dear Ada, .\n. dots and   spaces  \n</p>\n\n\n',
      text: 'Dear Ada,\n\n.\n',
      listUnsubscribe: 'https://acme.example/u',
      ...extra,
    })
    const tags = verified(server.messages[0]?.data ?? '')
    expect(tags).toMatchObject({ a: 'rsa-sha256', c: 'relaxed/relaxed', d: 'acme.example', s: 'mail' })
    const names = (tags['h'] ?? '').toLowerCase().split(':')
    expect(names).toEqual(expect.arrayContaining(['from', 'subject', 'list-unsubscribe-post']))
  })

  it('rejects keys that can’t sign or that receivers don’t trust, and does not repeat them', async () => {
    const pemOf = (key: typeof privateKey) => key.export({ type: 'pkcs8', format: 'pem' }).toString()
    const short = pemOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey)
    const elliptic = pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
    const common = { domain: 'acme.example', selector: 'mail' }
    for (const dkim of [
      { ...common, privateKey: 'nonsense' },
      { ...common, privateKey: short },
      { ...common, privateKey: elliptic },
      { ...common, keyFile: '/nowhere/key.pem' },
      { ...common },
      { ...common, privateKey: pem, keyFile: 'both' },
      { ...common, domain: 'a;d=evil', privateKey: pem },
    ]) {
      const error: unknown = await testMailer({ transport: { url: 'smtp://127.0.0.1:9', dkim } }).catch(
        (reason: unknown) => reason,
      )
      expect(error).toMatchObject({ code: 'INVALID_OPTIONS' })
      expect((error as Error).message).not.toContain('nonsense')
    }
  })
})
