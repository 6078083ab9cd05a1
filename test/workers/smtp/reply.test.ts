import { describe, expect, it } from 'vitest'
import { parseReply, ReplyReader } from '../../../workers/transports/smtp/reply.js'

function read(...chunks: string[]): unknown[] {
  const reader = new ReplyReader()
  const replies = []
  for (const chunk of chunks) {
    reader.feed(Buffer.from(chunk, 'utf8'))
    for (let reply = reader.next(); reply !== undefined; reply = reader.next()) {
      replies.push(reply)
      if (reply === 'garbage') return replies
    }
  }
  return replies
}

describe('reading replies', () => {
  it('takes them apart', () => {
    expect(read('250 2.1.5 ok\r\n')).toEqual([{ code: 250, enhanced: '2.1.5', text: '2.1.5 ok' }])
    expect(read('550 no such user\r\n')).toEqual([{ code: 550, text: 'no such user' }])
    expect(read('354\r\n')).toEqual([{ code: 354, text: '' }])
    expect(read('250 ok\n')).toEqual([{ code: 250, text: 'ok' }])
  })

  it('joins lines, with the enhanced status code once', () => {
    expect(read('550-5.7.1 Our system\r\n550-5.7.1 has detected\r\n550 5.7.1 a guest.\r\n')).toEqual([
      { code: 550, enhanced: '5.7.1', text: '5.7.1 Our system has detected a guest.' },
    ])
  })

  it('does not take an enhanced code of another class for one', () => {
    expect(read('550 2.1.5 strange\r\n')).toEqual([{ code: 550, text: '2.1.5 strange' }])
    expect(read('250 10.0.0.1 said hello\r\n')).toEqual([{ code: 250, text: '10.0.0.1 said hello' }])
  })

  it('is the same wherever it is cut', () => {
    const text = '250-2.1.0 é one\r\n250 2.1.0 two\r\n354 go\r\n'
    const whole = read(text)
    expect(whole).toHaveLength(2)
    const bytes = Buffer.from(text)
    for (let cut = 0; cut <= bytes.length; cut++) {
      const reader = new ReplyReader()
      const replies = []
      for (const part of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
        reader.feed(part)
        for (let reply = reader.next(); reply !== undefined; reply = reader.next()) replies.push(reply)
      }
      expect(replies).toEqual(whole)
      expect(reader.empty).toBe(true)
    }
  })

  it.each([
    ['a page of the web', 'HTTP/1.1 400 Bad Request\r\n'],
    ['no code', 'ok\r\n'],
    ['an empty line', '\r\n'],
    ['a code out of range', '199 what\r\n'],
    ['a code without a separator', '250ok\r\n'],
    ['two codes in one reply', '250-one\r\n550 two\r\n'],
    ['a line without end', '250 '.padEnd(3_000, 'x')],
    ['a line that ends too late', `${'250 '.padEnd(3_000, 'x')}\r\n`],
    ['a reply without end', '250-and so on and on\r\n'.repeat(2_000)],
  ])('refuses %s', (_, text) => {
    expect(read(text)).toEqual(['garbage'])
    expect(read(...(text.match(/./gs) ?? [])).at(-1)).toBe('garbage')
  })

  it('keeps no control characters, and bytes that are no UTF-8 as they are', () => {
    expect(read('250 a\u0000b\u001b[31mc\rd\r\n')).toEqual([{ code: 250, text: 'a b [31mc d' }])
    const reader = new ReplyReader()
    reader.feed(Buffer.from('250 caf\xe9\r\n', 'latin1'))
    expect(reader.next()).toEqual({ code: 250, text: 'café' })
  })

  it('cuts the text', () => {
    const [reply] = read(`${'250 '.padEnd(1_000, 'x')}\r\n`) as [{ text: string }]
    expect(reply.text).toHaveLength(512)
  })

  it('takes a reply out of an error', () => {
    expect(parseReply('535-5.7.8 no\r\n535 5.7.8 way')).toEqual({
      code: 535,
      enhanced: '5.7.8',
      text: '5.7.8 no way',
    })
    expect(parseReply('')).toBeUndefined()
    expect(parseReply('garbage')).toBeUndefined()
  })
})
