import { describe, expect, it } from 'vitest'
import { parseJson } from '../../src/protocol/parseJson.js'
import { randomFrom } from '../support/random.js'

const CANARY = 'Hunter2-very-secret'

/** The message of the error, and of the one that V8 throws; undefined if the text is JSON. */
function messagesOf(text: string): { ours: string; v8: string } | undefined {
  const message = (parse: () => unknown): string | undefined => {
    try {
      parse()
      return undefined
    } catch (error) {
      expect(error).not.toHaveProperty('cause')
      return (error as Error).message
    }
  }
  const [ours, v8] = [message(() => parseJson(text)), message(() => JSON.parse(text))]
  expect(ours === undefined, text).toBe(v8 === undefined)
  return ours === undefined || v8 === undefined ? undefined : { ours, v8 }
}

describe('parseJson', () => {
  it.each([
    ['', 'the text ends too early at line 1, column 1'],
    ['{"a":', 'the text ends too early at line 1, column 6'],
    ['{"a": "b', 'the text ends too early at line 1, column 9'],
    [`[{"user":"p","pass":${CANARY}}]`, 'there is a mistake at line 1, column 21'],
    ['{\n  "a": 1,\n  b: 2\n}', 'there is a mistake at line 3, column 3'],
    ['[1,]', 'there is a mistake at line 1, column 4'],
    ['[1 2]', 'there is a mistake at line 1, column 4'],
    ['{"a" 1}', 'there is a mistake at line 1, column 6'],
    ['{"a":1]', 'there is a mistake at line 1, column 7'],
    ['01', 'there is a mistake at line 1, column 2'],
    ['{} {}', 'there is a mistake at line 1, column 4'],
    ['["a\\x"]', 'there is a mistake at line 1, column 4'],
    ['["a\nb"]', 'there is a mistake at line 1, column 4'],
    ['\ufeff{}', 'there is a mistake at line 1, column 1'],
  ])('names the position of the mistake in %j', (text, message) => {
    expect(messagesOf(text)?.ours).toBe(message)
  })

  it('refuses what JSON.parse() refuses, at the same place, and never quotes it', () => {
    const random = randomFrom(1)
    const int = (below: number): number => Math.floor(random() * below)
    const document = JSON.stringify(
      [{ user: 'shop', pass: CANARY, ports: [0, -1.5e3, true, null], nested: { text: 'a"\\ü\n' } }, []],
      null,
      1,
    )
    let compared = 0
    for (let round = 0; round < 3_000; round++) {
      const at = int(document.length)
      const junk = ['', '"', '{', '}', '[', ']', ',', ':', '\\', 'x', '1', '\n', CANARY][int(13)] ?? ''
      const text = document.slice(0, at) + junk + document.slice(at + int(3))
      const messages = messagesOf(text)
      if (messages === undefined) continue
      const { ours, v8 } = messages
      expect(ours).toMatch(/^(?:the text ends too early|there is a mistake) at line \d+, column \d+$/)
      const position = Number(/ at position (\d+)/.exec(v8)?.[1])
      // V8 names the inside of an escape and of a number, and the end of an unexpected string.
      if (Number.isNaN(position) || /escape|number|string in|Unicode/.test(v8)) continue
      const lines = text.slice(0, position).split('\n')
      expect(ours, v8).toContain(`line ${lines.length}, column ${(lines.at(-1) ?? '').length + 1}`)
      compared++
    }
    expect(compared).toBeGreaterThan(100)
  })

  it('finds a mistake behind a million brackets, and in a string of ten million letters', () => {
    expect(messagesOf('['.repeat(1_000_000))?.ours).toContain('column 1000001')
    expect(messagesOf(`"${'x'.repeat(10_000_000)}`)?.ours).toContain('column 10000002')
  })
})
