import { generateKeyPairSync, randomBytes } from 'node:crypto'
import PostalMime from 'postal-mime'
import { expect, it } from 'vitest'
import { base64Length } from '../../../workers/compose/base64.js'
import { compose } from '../../../workers/compose/compose.js'
import { DkimSigner } from '../../../workers/compose/dkimSigner.js'
import { LazyMessage } from '../../../workers/compose/lazyMessage.js'
import { mailDataOf } from '../../../workers/transports/smtp/mailData.js'
import { toWirePayload } from '../../../workers/wireForm.js'
import { testMailer } from '../../support/mailer.js'
import { ScriptedServer } from '../../support/scriptedServer.js'

const LARGE = 192 * 1024
/** Octets that are encoded at a time. */
const PART = 57 * 1_344
const SIZES = [
  LARGE,
  LARGE + 1,
  LARGE + 2,
  PART * 3,
  PART * 3 - 1,
  PART * 3 + 1,
  PART * 4 + 56,
  PART * 4 + 57,
]

function messageWith(contents: readonly Buffer[], signer?: DkimSigner) {
  const payload = toWirePayload({
    id: '0199aabb-ccdd-7eef-8899-aabbccddeeff',
    messageId: '<0199aabb-ccdd-7eef-8899-aabbccddeeff@acme.example>',
    date: Date.UTC(2026, 10, 22, 20, 36, 10),
    from: { address: 'hello@acme.example' },
    to: [{ address: 'ada@example.com' }],
    cc: [],
    bcc: [],
    replyTo: [],
    envelopeFrom: 'hello@acme.example',
    subject: 'Hello',
    content: { kind: 'literal' },
    headers: [],
    references: [],
    attachments: contents.map((content, index) => ({
      filename: `${index}.bin`,
      content,
      size: content.length,
    })),
  })
  return compose(payload, { subject: '', html: '', text: 'Hello' }, signer)
}

it.each(SIZES)(
  'an attachment of %i octets is encoded as it is sent, and arrives byte for byte',
  async (size) => {
    const contents = [randomBytes(size), randomBytes(100), randomBytes(size + 1)]
    const message = messageWith(contents)
    if (!(message instanceof LazyMessage)) throw new Error('it was encoded at once')
    const parts = Array.from(message, (part) => Buffer.from(part))
    for (const part of parts) expect(part.length).toBeLessThanOrEqual(base64Length(PART) + 2)
    const { bytes } = message
    expect(Buffer.concat(parts).equals(bytes)).toBe(true)
    expect(message.length).toBe(bytes.length)
    const data = mailDataOf(message)
    expect([data.message === message, data.size, data.dots]).toEqual([true, bytes.length, []])
    const [front, last] = message.splitLast()
    expect(Buffer.concat([front.bytes, last]).equals(bytes)).toBe(true)

    const { attachments } = await PostalMime.parse(bytes)
    for (const [index, { content }] of attachments.entries())
      expect(Buffer.from(content as ArrayBuffer).equals(contents[index]!)).toBe(true)
    const longest = Math.max(
      ...bytes
        .toString('latin1')
        .split('\r\n')
        .map(({ length }) => length),
    )
    expect(attachments).toHaveLength(contents.length)
    expect(longest).toBeLessThanOrEqual(78)
  },
)

it('smaller attachments are encoded at once', () => {
  expect(messageWith([randomBytes(LARGE - 1)])).not.toBeInstanceOf(LazyMessage)
})

it('its signature is that of the whole message', () => {
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const signer = new DkimSigner([{ domain: 'acme.example', selector: 's', privateKey: pem }])
  for (const size of SIZES) {
    const contents = [randomBytes(size)]
    const signed = messageWith(contents, signer).bytes
    expect(signed.equals(signer.sign(messageWith(contents).bytes))).toBe(true)
  }
})

it.each([
  ['DATA', {}],
  ['BDAT', { extensions: ['PIPELINING', '8BITMIME', 'CHUNKING'] }],
])('large attachments pass through %s, one message after another', async (_, script) => {
  const server = await ScriptedServer.start(script)
  const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}`, threads: 1 })
  const content = randomBytes(300_000)
  const mail = {
    to: 'ada@example.com',
    subject: 'Hi',
    text: '.\r\n..',
    attachments: [{ filename: 'a', content }],
  }
  const sent = await Promise.all(Array.from({ length: 8 }, () => mailer.sendAndWait(mail)))
  expect(sent.map(({ status, uncertain }) => [status, uncertain])).toEqual(sent.map(() => ['sent', false]))
  const { messages } = server
  expect(messages).toHaveLength(8)
  for (const { data } of messages) {
    const { attachments } = await PostalMime.parse(Buffer.from(data, 'latin1'))
    expect(Buffer.from(attachments[0]?.content as ArrayBuffer).equals(content)).toBe(true)
  }
})
