import { generateKeyPairSync } from 'node:crypto'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import PostalMime, { type Address, decodeWords } from 'postal-mime'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Mail } from '../../../src/message/mail.js'
import { type ValidationContext, toJob } from '../../../src/message/toJob.js'
import { resolveOptions } from '../../../src/options.js'
import { compose } from '../../../workers/compose/compose.js'
import { DkimSigner } from '../../../workers/compose/dkimSigner.js'
import { toWirePayload } from '../../../workers/wireForm.js'
import { NOW, rules } from '../../support/messageRules.js'
import { PythonParser } from '../../support/pythonParser.js'
import { describeWith } from '../../support/tools.js'
import { type ExpectedMail, type Leaf, type Mailbox, RandomMails } from './support/randomMails.js'

/** 5,000 is the number of a full run. */
const MESSAGES = Number(process.env['DIFFERENTIAL_MAILS'] ?? 1_000)
const SEED = Number(process.env['THREADPOST_SEED'] ?? 2026)
/** Every so many messages, one is signed, and one is sent as a finished message. */
const SAMPLE = 20

const validation: ValidationContext = {
  ...rules,
  options: resolveOptions({ transport: 'smtp://127.0.0.1:25', limits: { message: 10_000_000 } }),
}
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const signer = new DkimSigner([
  {
    domain: 'acme.example',
    selector: 's',
    privateKey: rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  },
])
const record = `v=DKIM1; k=rsa; p=${rsa.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`

function composed(mail: Mail, sign?: DkimSigner): Buffer {
  const job = toJob(mail, validation, NOW)
  const { content } = job
  const { html = '', text = '' } = content.kind === 'literal' ? content : {}
  // The bytes belong to a pool.
  return Buffer.from(compose(toWirePayload(job), { subject: '', html, text }, sign).bytes)
}

interface Case {
  expected: ExpectedMail
  bytes: Buffer
}

function* cases(): Generator<Case> {
  const mails = new RandomMails(SEED)
  for (let index = 0; index < MESSAGES; index++) {
    const { mail, expected } = mails.next((embedded) => composed(embedded))
    const bytes = composed(mail)
    yield { expected, bytes }
    if (index % SAMPLE !== 0) continue
    const raw =
      index % (2 * SAMPLE) === 0
        ? bytes
        : Buffer.from(bytes.toString('latin1').replaceAll('\r\n', '\n'), 'latin1')
    const finished = composed({ raw, envelope: { from: '', to: 'ada@example.com' } })
    expect(finished.equals(bytes)).toBe(true)
  }
}

/** The octets of the text of a part that is the whole message: it ends with a line break. */
function wholeText(content: Uint8Array): Buffer {
  const text = Buffer.from(content)
  return text.length === 0 || text.at(-1) === 10 ? text : Buffer.concat([text, Buffer.from('\r\n')])
}

const spaces = (text: string): string => text.replace(/\s+/g, ' ').trim()

describe('the form of composed messages', () => {
  it('has lines of at most 998 octets, none of white space alone in a header, and ASCII but for SMTPUTF8', () => {
    for (const { bytes, expected } of cases()) {
      const text = bytes.toString('latin1')
      expect(/(?<!\r)\n|\r(?!\n)/.test(text)).toBe(false)
      const lines = text.split('\r\n')
      expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(998)
      const header = lines.slice(0, lines.indexOf(''))
      expect(header.filter((line) => line.trim() === '')).toEqual([])
      const utf8 = expected.utf8 || expected.leaves.some(({ embedded }) => embedded?.utf8 === true)
      if (!utf8) expect(/[\x80-\xff]/.test(text)).toBe(false)
      for (const { embedded, content } of expected.leaves)
        if (embedded !== undefined) expect(bytes.includes(Buffer.from(content))).toBe(true)
    }
  })
})

describe('composed messages, read by postal-mime', () => {
  it('have every header and every part, octet for octet', async () => {
    for (const { bytes, expected } of cases()) {
      const email = await PostalMime.parse(bytes, { forceRfc822Attachments: true })
      const flat = (list: Address[] | undefined): Mailbox[] =>
        (list ?? []).flatMap((each) =>
          each.address === undefined ? [] : [unquoted({ name: each.name, address: each.address })],
        )
      expect(flat(email.from === undefined ? [] : [email.from])).toEqual([unquoted(expected.from)])
      expect(flat(email.sender === undefined ? [] : [email.sender])).toEqual(
        expected.sender === undefined ? [] : [unquoted(expected.sender)],
      )
      expect(flat(email.to)).toEqual(expected.to.map(unquoted))
      expect(flat(email.cc)).toEqual(expected.cc.map(unquoted))
      expect(flat(email.replyTo)).toEqual(expected.replyTo.map(unquoted))
      expect(email.bcc).toBeUndefined()
      expect(email.subject).toBe(expected.subject)
      expect(email.inReplyTo).toBe(expected.inReplyTo)
      expect(spaces(email.references ?? '')).toBe(expected.references.join(' '))
      for (const [name, value] of expected.headers) {
        const found = email.headers.find(({ key }) => key === name.toLowerCase())
        expect(decodeWords(found?.value ?? '')).toBe(value)
      }
      const own = expected.leaves.slice(0, ownLeaves(expected))
      const body = (type: string) =>
        own.find((leaf) => leaf.type === type && leaf.filename === undefined)?.content
      expect(comparable(email.text)).toBe(comparable(Buffer.from(body('text/plain') ?? []).toString()))
      expect(comparable(email.html)).toBe(comparable(Buffer.from(body('text/html') ?? []).toString()))
      const files = topLeaves(expected).filter(
        ({ type, filename, method }) =>
          filename !== undefined || method !== undefined || !/^text\/(?:plain|html)$/.test(type),
      )
      expect(email.attachments.map(({ mimeType }) => mimeType)).toEqual(files.map(({ type }) => type))
      for (const [index, file] of files.entries()) {
        const found = email.attachments[index]!
        const content = new Uint8Array(found.content as ArrayBuffer)
        if (!/^(?:message\/rfc822|text\/calendar|application\/ics)$/.test(file.type))
          expect(visible(content)).toBe(visible(file.content))
        // This parser returns an attached message, and a calendar object, with line feeds.
        else expect(comparable(latin1(content))).toBe(comparable(latin1(file.content)))
        expect(found.filename ?? undefined).toBe(file.filename)
        expect(found.contentId).toBe(file.cid === undefined ? undefined : `<${file.cid}>`)
        if (file.method !== undefined) expect(found.method).toBe(file.method)
      }
    }
  })

  it('have DKIM signatures that mailauth verifies', async () => {
    const mails = new RandomMails(SEED)
    for (let index = 0; index < MESSAGES / SAMPLE; index++) {
      const { mail } = mails.next((embedded) => composed(embedded))
      const { results } = await dkimVerify(composed(mail, signer), {
        resolver: () => Promise.resolve([[record]]),
      })
      expect(results.map(({ status }) => status.result)).toEqual(['pass'])
    }
  })
})

/** postal-mime returns local parts without their quotes. */
function unquoted({ name, address }: Mailbox): Mailbox {
  return { name, address: address.replace(/^"(.*)"@/, '$1@') }
}

/** The parser's line ends, and without what it removes: a mark of the byte order, and line ends at the end. */
function comparable(text: string | undefined): string {
  return (text ?? '')
    .replace(/^\ufeff+/, '')
    .replace(/\r\n/g, '\n')
    .replace(/\n+$/, '')
}

/** The leaves before an embedded message belong to the mail itself. */
function ownLeaves({ leaves }: ExpectedMail): number {
  const at = leaves.findIndex(({ embedded }) => embedded !== undefined)
  return at === -1 ? leaves.length : at
}

/** The leaves without those of embedded messages. */
function topLeaves({ leaves }: ExpectedMail): Leaf[] {
  const top: Leaf[] = []
  for (let index = 0; index < leaves.length; index++) {
    const leaf = leaves[index]!
    top.push(leaf)
    index += leaf.embedded?.leaves.length ?? 0
  }
  return top
}

describeWith(['python3-dkim'], "composed messages, read by Python's email package", (tools) => {
  it('have the same structure, every header, and every part, octet for octet', async () => {
    const python = new PythonParser(tools['python3-dkim'])
    onTestFinished(() => python.close())
    for (const { bytes, expected } of cases()) {
      const mail = await python.parse(bytes)
      const all = (name: string) => mail.headers.filter(([key]) => key === name).map(([, value]) => value)
      const text = (name: string): string | undefined => all(name)[0] as string | undefined
      expect(all('from')).toEqual([[expected.from]])
      expect(all('sender')).toEqual(expected.sender === undefined ? [] : [[expected.sender]])
      expect(all('to')).toEqual(expected.to.length + expected.cc.length === 0 ? [[]] : listed(expected.to))
      expect(all('cc')).toEqual(listed(expected.cc))
      expect(all('reply-to')).toEqual(listed(expected.replyTo))
      expect(all('bcc')).toEqual([])
      expect(all('subject')).toEqual([expected.subject])
      expect(text('in-reply-to')).toBe(expected.inReplyTo)
      expect(text('references') ?? '').toBe(expected.references.join(' '))
      expect(text('list-unsubscribe')).toBe(expected.listUnsubscribe)
      expect(all('message-id')).toHaveLength(1)
      for (const [name, value] of expected.headers) expect(all(name.toLowerCase())).toEqual([value])
      expect(mail.tree).toBe(expected.tree)
      expect(mail.leaves).toEqual(
        expected.leaves.map((leaf) => ({
          type: leaf.type,
          disposition: expect.toSatisfy((found: string | null) => found === dispositionOf(leaf)) as string,
          filename: leaf.filename ?? null,
          cid: leaf.cid ?? null,
          method: leaf.method ?? null,
          charset: expect.toSatisfy(
            (found: string | null) =>
              found === 'utf-8' ||
              !/^text\/(?:plain|html|calendar)$/.test(leaf.type) ||
              leaf.filename !== undefined,
          ) as string,
          defects: [],
          content: leaf.embedded === undefined ? expect.any(String) : null,
        })),
      )
      const contents = contentsOf(expected)
      for (const [index, { content }] of mail.leaves.entries())
        if (content !== null) expect(visible(Buffer.from(content, 'base64'))).toBe(visible(contents[index]!))
    }
  })
})

/** The octets of each leaf. A part that is the whole message ends with a line break. */
function contentsOf({ tree, leaves }: ExpectedMail): Uint8Array[] {
  const [only] = leaves
  if (only !== undefined && tree === only.type) return [wholeText(only.content)]
  const contents: Uint8Array[] = []
  for (let index = 0; index < leaves.length; index++) {
    const { content, embedded } = leaves[index]!
    contents.push(content, ...(embedded === undefined ? [] : contentsOf(embedded)))
    index += embedded?.leaves.length ?? 0
  }
  return contents
}

function latin1(octets: Uint8Array): string {
  return Buffer.from(octets).toString('latin1')
}

/** Octets as text that shows each difference. */
function visible(octets: Uint8Array): string {
  return JSON.stringify(latin1(octets))
}

function listed(mailboxes: Mailbox[]): Mailbox[][] {
  return mailboxes.length === 0 ? [] : [mailboxes]
}

function dispositionOf({ type, filename, cid, method, embedded }: Leaf): string | null {
  if (cid !== undefined && /^image\//.test(type)) return 'inline'
  if (embedded !== undefined || filename !== undefined) return 'attachment'
  return method !== undefined || /^text\/(?:plain|html)$/.test(type) ? null : 'attachment'
}
