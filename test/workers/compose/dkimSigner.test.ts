import { execFile } from 'node:child_process'
import { createHash, generateKeyPairSync } from 'node:crypto'
import path from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { describe, expect, it } from 'vitest'
import { relaxedBodyHash } from '../../../workers/compose/dkimBodyHash.js'
import { DkimSigner } from '../../../workers/compose/dkimSigner.js'
import { itWith } from '../../support/tools.js'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ed25519 = generateKeyPairSync('ed25519')
const pem = (key: typeof rsa.privateKey) => key.export({ type: 'pkcs8', format: 'pem' }).toString()
const keys = [
  { domain: 'acme.example', selector: 'rsa', privateKey: pem(rsa.privateKey) },
  { domain: 'acme.example', selector: 'ed', privateKey: pem(ed25519.privateKey) },
]
const der = (key: typeof rsa.publicKey) => key.export({ type: 'spki', format: 'der' })
const records: Record<string, string> = {
  'rsa._domainkey.acme.example': `v=DKIM1; k=rsa; p=${der(rsa.publicKey).toString('base64')}`,
  'ed._domainkey.acme.example': `v=DKIM1; k=ed25519; p=${der(ed25519.publicKey).subarray(-32).toString('base64')}`,
}
const both = new DkimSigner(keys)

const HEADER = [
  'From: Acme <hello@acme.example>',
  'To: ada@example.com',
  'Subject: Hi',
  'Message-ID: <1@acme.example>',
  'Date: Mon, 30 Nov 2026 10:00:00 +0000',
]
const message = (body: string, header = HEADER): Buffer =>
  Buffer.from(`${header.join('\r\n')}\r\n\r\n${body}`, 'latin1')

/** The results of all signatures, as an independent implementation sees them. */
async function mailauthResults(signed: Buffer): Promise<string[]> {
  const { results } = await dkimVerify(signed, {
    resolver: (name: string) => Promise.resolve([[records[name] ?? '']]),
  })
  return results.map(({ status }) => status.result)
}

/** Parts of bodies on which canonicalizations differ. */
const piece = fc.constantFrom(
  '\r\n',
  '\r\n\r\n\r\n',
  ' ',
  '  ',
  '\t',
  ' \t ',
  ' \r\n',
  '\t\r\n',
  '.',
  '.\r\n',
  '=20\r\n',
  'a',
  'Dear Ada',
  'é',
  '\u00ff',
  'x'.repeat(1_000),
  '\u0001',
  '--b\r\n',
  'a  b\tc',
)
const anyBody = fc
  .array(piece, { maxLength: 40 })
  // As after DATA: a body ends with a line ending, or is empty.
  .map((pieces) => pieces.join('').replace(/(?<!\r\n)$/, '\r\n'))
const value = fc
  .array(
    fc.constantFrom(
      'a',
      'B',
      ' ',
      '  ',
      '\t',
      '\r\n ',
      '\r\n\t',
      ';',
      ':',
      'h=',
      'b=',
      '=?utf-8?Q?=C3=A9?=',
      'é',
    ),
    { maxLength: 30 },
  )
  // A line of white space alone would end the header for some parsers.
  .map((parts) => `x${parts.join('').replace(/\r\n[ \t]*(?=\r\n|$)/g, '')}`)
const anyMessage = fc
  .tuple(
    anyBody,
    fc.dictionary(
      fc.constantFrom('Subject', 'Cc', 'Reply-To', 'List-Id', 'X-Other', 'List-Unsubscribe'),
      value,
    ),
  )
  .map(([body, more]) =>
    message(body, [
      ...HEADER.filter((line) => more['Subject'] === undefined || !line.startsWith('Subject')),
      ...Object.entries(more).map(([name, text]) => `${name}: ${text}`),
    ]),
  )

describe('DKIM signatures', () => {
  it('are valid for another implementation, whatever the message contains', async () => {
    await fc.assert(
      fc.asyncProperty(anyMessage, async (unsigned) => {
        expect(await mailauthResults(both.sign(unsigned))).toEqual(['pass', 'pass'])
      }),
      { numRuns: 1_500, seed: 6376 },
    )
  })

  itWith(['python3-dkim'], 'are valid for a third implementation', async ({ 'python3-dkim': python }) => {
    const messages = fc.sample(anyMessage, { numRuns: 1_500, seed: 8463 })
    const script = path.resolve(import.meta.dirname, '../../support/dkimVerify.py')
    const verification = promisify(execFile)(python.command, [...python.args, script], {
      env: { ...process.env, ...python.env },
      maxBuffer: 1 << 26,
    })
    for (const unsigned of messages) {
      const job = { message: both.sign(unsigned).toString('base64'), records, signatures: 2 }
      verification.child.stdin?.write(`${JSON.stringify(job)}\n`)
    }
    verification.child.stdin?.end()
    const { stdout } = await verification
    const results = stdout.trim().split('\n')
    expect(results).toHaveLength(messages.length)
    expect(results.filter((line) => line !== '[true, true]')).toEqual([])
  })

  it.each([
    ['an empty body', ''],
    ['only line endings', '\r\n\r\n\r\n'],
    ['white space only', ' \t\r\n  '],
    ['empty lines at the end', 'Hi\r\n\r\n \r\n'],
    ['no line ending at the end', 'Hi'],
    ['tabs and several spaces', 'a\t \tb  c \r\n\td\r\n'],
    ['octets above 127', 'caf\u00e9 \u00ff\r\n'],
    ['a line of 100,000 characters', `${'x'.repeat(100_000)}\r\n`],
    ['empty lines by the ten thousand', `a${'\r\n'.repeat(40_000)}b\r\n`],
    ['base64 of a megabyte', `${'QUJD'.repeat(19)}\r\n`.repeat(14_000)],
  ])('hash %s as RFC 6376 says', async (_, body) => {
    const lines = body.split('\r\n').map((line) => line.replace(/[ \t]+/g, ' ').replace(/ $/, ''))
    while (lines.at(-1) === '') lines.pop()
    const canonical = lines.map((line) => `${line}\r\n`).join('')
    const unsigned = message(body)
    const from = unsigned.indexOf('\r\n\r\n') + 4
    expect(relaxedBodyHash(unsigned, from)).toBe(
      createHash('sha256').update(canonical, 'latin1').digest('base64'),
    )
    expect(await mailauthResults(both.sign(unsigned))).toEqual(['pass', 'pass'])
  })

  it('fail when the body, a signed field, or the number of From fields changes', async () => {
    const signed = both.sign(
      message('Hello\r\n', [...HEADER, 'List-Unsubscribe-Post: List-Unsubscribe=One-Click']),
    )
    const changed = (from: string, to: string) =>
      Buffer.from(signed.toString('latin1').replace(from, to), 'latin1')
    for (const [from, to] of [
      ['Hello', 'Hellо'],
      ['Subject: Hi', 'Subject: Ho'],
      ['One-Click', 'Two-Clicks'],
      ['To: ada', 'From: evil@evil.example\r\nTo: ada'],
    ] as const)
      expect(await mailauthResults(changed(from, to))).not.toContain('pass')
  })

  it('sign no part of the length, and always sign From twice', () => {
    const signed = both.sign(message('Hello\r\n')).toString('latin1')
    const field = signed.slice(0, signed.indexOf('\r\nFrom:')).replace(/\r\n\s+/g, ' ')
    expect(field).toContain('h=from:from:')
    expect(field).not.toMatch(/\bl=/)
  })

  it('are the same for the same message, and their lines are short', () => {
    const one = both.sign(message('Hello\r\n'))
    expect(both.sign(message('Hello\r\n')).equals(one)).toBe(true)
    for (const line of one.toString('latin1').split('\r\n')) expect(line.length).toBeLessThanOrEqual(78)
  })

  it('are written in front of the message where there is room, and the message is not copied', () => {
    const unsigned = message('Hello\r\n')
    const memory = Buffer.alloc(both.headroom + unsigned.length)
    const inPlace = memory.subarray(both.headroom)
    unsigned.copy(inPlace)
    const signed = both.sign(inPlace, both.headroom)
    expect(signed.buffer).toBe(memory.buffer)
    expect(signed.equals(both.sign(unsigned))).toBe(true)
  })
})
