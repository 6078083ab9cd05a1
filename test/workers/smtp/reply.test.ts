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

describe('the reply reader', () => {
  it('parses code, enhanced status code, and text', () => {
    expect(read('250 2.1.5 ok\r\n')).toEqual([{ code: 250, enhanced: '2.1.5', text: '2.1.5 ok' }])
    expect(read('550 no such user\r\n')).toEqual([{ code: 550, text: 'no such user' }])
    expect(read('354\r\n')).toEqual([{ code: 354, text: '' }])
    expect(read('250 ok\n')).toEqual([{ code: 250, text: 'ok' }])
  })

  it('joins the lines of a reply and keeps the enhanced status code once', () => {
    expect(read('550-5.7.1 Our system\r\n550-5.7.1 has detected\r\n550 5.7.1 a guest.\r\n')).toEqual([
      { code: 550, enhanced: '5.7.1', text: '5.7.1 Our system has detected a guest.' },
    ])
  })

  it('ignores an enhanced status code of another class than the reply', () => {
    expect(read('550 2.1.5 strange\r\n')).toEqual([{ code: 550, text: '2.1.5 strange' }])
    expect(read('250 10.0.0.1 said hello\r\n')).toEqual([{ code: 250, text: '10.0.0.1 said hello' }])
  })

  it('returns the same replies no matter how the bytes are split into chunks', () => {
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
    ['a web page', 'HTTP/1.1 400 Bad Request\r\n'],
    ['no code', 'ok\r\n'],
    ['an empty line', '\r\n'],
    ['a code out of range', '199 what\r\n'],
    ['a code without a separator', '250ok\r\n'],
    ['two codes in one reply', '250-one\r\n550 two\r\n'],
    ['an endless line', '250 '.padEnd(3_000, 'x')],
    ['a line that is too long', `${'250 '.padEnd(3_000, 'x')}\r\n`],
    ['an endless reply', '250-and so on and on\r\n'.repeat(2_000)],
  ])('rejects %s', (_, text) => {
    expect(read(text)).toEqual(['garbage'])
    expect(read(...(text.match(/./gs) ?? [])).at(-1)).toBe('garbage')
  })

  it('replaces control characters, and decodes invalid UTF-8 as Latin-1', () => {
    expect(read('250 a\u0000b\u001b[31mc\rd\r\n')).toEqual([{ code: 250, text: 'a b [31mc d' }])
    const reader = new ReplyReader()
    reader.feed(Buffer.from('250 caf\xe9\r\n', 'latin1'))
    expect(reader.next()).toEqual({ code: 250, text: 'café' })
  })

  it('shortens the text to 512 characters', () => {
    const [reply] = read(`${'250 '.padEnd(1_000, 'x')}\r\n`) as [{ text: string }]
    expect(reply.text).toHaveLength(512)
  })

  it('parses the reply in an error', () => {
    expect(parseReply('535-5.7.8 no\r\n535 5.7.8 way')).toEqual({
      code: 535,
      enhanced: '5.7.8',
      text: '5.7.8 no way',
    })
    expect(parseReply('')).toBeUndefined()
    expect(parseReply('garbage')).toBeUndefined()
  })
})
