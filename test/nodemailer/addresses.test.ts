import fc from 'fast-check'
import MailComposer from 'nodemailer/lib/mail-composer'
import { expect, it } from 'vitest'
import { ThreadpostError } from '../../src/errors.js'
import { parseMailbox, parseMailboxList } from '../../src/message/addresses.js'
import { withoutGroups } from '../../src/nodemailer/addressGroups.js'
import { Validator } from '../../src/validation.js'

const check: Validator = new Validator('INVALID_MESSAGE')

/** Parts of address lists, valid and malicious. */
const pieces = fc.constantFrom(
  ...['a@x.example', 'B.C@y.example', 'ü@münchen.example', '<d@z.example>', 'Ada', '"Doe, Jane"', '"a\\"b"'],
  ...[
    ',',
    ', ',
    ';',
    ':',
    ' ',
    '"',
    '\\',
    '<',
    '>',
    '(',
    ')',
    '@',
    '(x)',
    'Team:',
    '\t',
    '\u2028',
    'evil@w.example',
  ],
)
const wild = fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join(''))
const good = fc.constantFrom(
  'a@x.example',
  'Ada <b@x.example>',
  '"Doe, Jane" <c@x.example>',
  ' <d@z.example> ',
)
/** Valid lists with a foreign part inserted. */
const nearly = fc
  .tuple(fc.array(good, { minLength: 1, maxLength: 4 }), pieces, fc.nat())
  .map(([entries, piece, at]) => {
    const list = entries.join(', ')
    const place = at % (list.length + 1)
    return list.slice(0, place) + piece + list.slice(place)
  })
const lists = fc.oneof(wild, nearly)

function ours(text: string): string[] | undefined {
  try {
    return parseMailboxList(text, 'to', check, 100).map(({ address }) => address)
  } catch (error) {
    if (error instanceof ThreadpostError) return undefined
    throw error
  }
}

/** Returns the recipients that nodemailer itself derives from the list. */
function theirs(text: string): string[] {
  return new MailComposer({ from: 'a@b.example', to: text, text: 'x' }).compile().getEnvelope().to
}

function asciiDomain(address: string): string {
  const at = address.lastIndexOf('@')
  return `${address.slice(0, at)}@${new URL(`http://${address.slice(at + 1)}`).hostname}`.toLowerCase()
}

it('accepts only address lists from which nodemailer derives the same recipients', () => {
  let accepted = 0
  fc.assert(
    fc.property(lists, (text) => {
      const addresses = ours(text)
      if (addresses === undefined) return
      if (addresses.length > 1) accepted++
      expect([...new Set(addresses.map(asciiDomain))]).toEqual([...new Set(theirs(text).map(asciiDomain))])
    }),
    { numRuns: 20_000, seed: 7 },
  )
  expect(accepted).toBeGreaterThan(50)
})

it.each([
  '"a@x.example"@evil.example',
  '"john doe"@example.com',
  '"a,b"@example.com',
  '"a;b"@example.com',
  'Ada <"john doe"@example.com>',
  'abc..def@docomo.ne.jp',
  '"Name, X" <a@b.example>',
  'info@bücher.example',
  '用户@example.com',
  'x@[192.0.2.1]',
  'a@b.example (comment)',
  'a@b.example;',
])('takes or refuses one address exactly as send() does: %s', (text) => {
  const result = (parse: () => unknown): unknown => {
    try {
      return parse()
    } catch (error) {
      if (error instanceof ThreadpostError) return error.message
      throw error
    }
  }
  expect(result(() => parseMailboxList(withoutGroups(text), 'to', check, 100))).toEqual(
    result(() => [parseMailbox(text, 'to', check)]),
  )
})

// A pass for each character would take hours.
it('parses or refuses any long list of addresses in one pass', () => {
  for (const piece of ['"', ',', '"a', '\\', '<', '(', 'a@b.example,', '", "']) ours(piece.repeat(400_000))
})
