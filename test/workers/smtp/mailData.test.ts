import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dotStuffed, type MailData, toMailData } from '../../../workers/transports/smtp/mailData.js'

/** A simple implementation to compare with. */
function expected(message: string): { text: string; size: number } {
  let text = message.replace(/\r\n|\r|\n/g, '\r\n')
  if (!text.endsWith('\r\n')) text += '\r\n'
  return { text: text.replace(/(^|\r\n)\./g, '$1..'), size: text.length }
}

function stuffedText(data: MailData): string {
  const message = dotStuffed(data)
  return (Buffer.isBuffer(message) ? message : message.bytes).toString('latin1')
}

describe('a message as mail data', () => {
  it('is not copied if it needs no change', () => {
    const message = Buffer.from('Subject: hi\r\n\r\nHello\r\n')
    expect(toMailData(message).message).toBe(message)
  })

  it('doubles dots and ends lines, for any message at any offset', () => {
    const piece = fc.constantFrom(
      '.',
      '..',
      '\r',
      '\n',
      '\r\n',
      '\r\n.',
      '\n.\n',
      '\r.\r',
      'a',
      'bcd',
      'é',
      '\u0000',
      '\t ',
      'x'.repeat(17),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.nat(7), (pieces, offset) => {
        const text = Buffer.from(pieces.join('')).toString('latin1')
        const message = Buffer.from(' '.repeat(offset) + text, 'latin1').subarray(offset)
        const data = toMailData(message)
        const { text: wire, size } = expected(text)
        const stuffed = stuffedText(data)
        expect(stuffed).toBe(wire)
        expect(data.size).toBe(size)

        expect(data.eightBit).toBe(/[^\x00-\x7f]/.test(text))
        expect(stuffed).not.toContain('\r\n.\r\n')
        expect(/(?<!\r)\n|\r(?!\n)/.test(stuffed)).toBe(false)
      }),
      { numRuns: 3_000 },
    )
  })

  it.each([
    '\n.\n',
    '\r.\r',
    '\n.\r\n',
    '\r\n.\n',
    '\r\n.\r',
    '\r\n.\r\n',
    '\r.\n',
    '\r\r\n.\r\n',
    '\r\n\u0000.\r\n',
  ])('can’t be ended early by %j', (end) => {
    const wire = stuffedText(
      toMailData(Buffer.from(`Subject: a\r\n\r\none${end}MAIL FROM:<evil@example.com>\r\n`)),
    )
    expect(wire).not.toContain('\r\n.\r\n')
    expect(/(?<!\r)\n|\r(?!\n)/.test(wire)).toBe(false)
  })

  it('distinguishes octets above 127 in the header from those in the body', () => {
    const of = (text: string) => toMailData(Buffer.from(text))
    expect(of('To: ä@example.com\r\n\r\nx\r\n')).toMatchObject({ eightBit: true, utf8Header: true })
    expect(of('To: a@example.com\r\n\r\nä\r\n')).toMatchObject({ eightBit: true, utf8Header: false })
    expect(of('To: a@example.com\r\n\r\nx\r\n')).toMatchObject({ eightBit: false, utf8Header: false })
  })

  it('does not change long lines', () => {
    const message = Buffer.from(`a: b\r\n\r\n${'x'.repeat(10_000)}\r\n`)
    expect(toMailData(message).message).toEqual(message)
  })
})
