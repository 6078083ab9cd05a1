/**
 * Text that is not JSON. Its message has the position of the mistake only: the message of `JSON.parse()` quotes the text around it,
 * which may be a password, and its error is no `cause`, since a log shows causes.
 */
class JsonMistake extends Error {
  override readonly name = 'JsonMistake'

  constructor(text: string) {
    const offset = mistakeIn(text)
    const before = text.slice(0, offset)
    const line = before.split('\n').length
    const column = offset - before.lastIndexOf('\n')
    const found = offset >= text.length ? 'the text ends too early' : 'there is a mistake'
    super(`${found} at line ${line}, column ${column}`)
  }
}

/**
 * Parses JSON that comes from outside of this process: from a file, a store, a variable, or a request.
 * @throws JsonMistake whose message can be shown to anybody
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new JsonMistake(text)
  }
}

const ESCAPE = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const SPACE = /[ \t\n\r]*/y

/** Part of the grammar that comes next (RFC 8259). */
type Expected = 'value' | 'value or ]' | 'name' | 'name or }' | ':' | 'separator'

/** Returns the offset of the first character that no JSON has at its place. Without recursion: the text may nest deeply. */
function mistakeIn(text: string): number {
  let at = 0
  const open: ('[' | '{')[] = []
  let expected: Expected = 'value'
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    const taken = pattern.test(text)
    if (taken) at = pattern.lastIndex
    return taken
  }
  const takeString = (): boolean => {
    at++
    while (text[at] !== '"')
      if (text[at] === '\\') {
        if (!take(ESCAPE)) return false
      } else if (text.charCodeAt(at) >= 0x20) at++
      else return false
    at++
    return true
  }
  for (;;) {
    take(SPACE)
    const char = text[at]
    if (char === undefined) return at
    if (expected === 'separator') {
      const inside = open.at(-1)
      if (inside !== undefined && char === ',') expected = inside === '{' ? 'name' : 'value'
      else if (inside !== undefined && char === closing(inside)) open.pop()
      else return at
      at++
    } else if (expected === ':') {
      if (char !== ':') return at
      at++
      expected = 'value'
    } else if ((expected === 'value or ]' && char === ']') || (expected === 'name or }' && char === '}')) {
      open.pop()
      at++
      expected = 'separator'
    } else if (char === '"') {
      if (!takeString()) return at
      expected = expected.startsWith('name') ? ':' : 'separator'
    } else if (expected.startsWith('name')) return at
    else if (char === '[' || char === '{') {
      open.push(char)
      at++
      expected = char === '{' ? 'name or }' : 'value or ]'
    } else if (take(SCALAR)) expected = 'separator'
    else return at
  }
}

function closing(opening: '[' | '{'): string {
  return opening === '{' ? '}' : ']'
}
