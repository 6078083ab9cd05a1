/**
 * The position of a character in MJML or HTML, as MJML's parser (htmlparser2) sees it. Text may arrive in parts, with
 * expressions between them, so the state carries over from one part to the next.
 */
export type Mode =
  'text' | 'tag' | 'name' | 'attribute' | 'equals' | 'value' | 'unquoted' | 'comment' | 'verbatim'

export interface TokenEvents {
  /** A start tag is complete: `offset` is where it ends. */
  open(name: string, selfClosing: boolean, offset: number): void
  /** `offset` is where the end tag begins. */
  close(name: string, offset: number): void
  /** A quoted attribute value begins or ends; `offset` is the first character inside, or the quote that ends it. */
  valueStart(tag: string, attribute: string, offset: number): void
  valueEnd(offset: number): void
  /** Text between tags that is not only white space. */
  words(offset: number): void
}

/** HTML elements in which only their own end tag is a tag, and how it begins. */
const VERBATIM = new Map(
  ['script', 'style', 'title', 'textarea'].map((name) => [name, new RegExp(`</${name}`, 'gi')]),
)
const NAME = /[^\s/>]/
const SPACE = /\s/
/** Characters of a value to keep. */
const MAX_VALUE = 100

export class Tokenizer {
  mode: Mode = 'text'
  tag = ''
  closing = false
  attribute = ''
  quote = ''
  /** The start of the attribute value that is being read: enough of it to hold a scheme. */
  value = ''
  /** The tag has a `width` with a value. */
  hasWidth = false
  #slash = false
  /** Offset in the current text at which the tag began. */
  #began = 0

  noteValue(text: string): void {
    if (this.value.length < MAX_VALUE) this.value += text.slice(0, MAX_VALUE)
  }

  /** Two states are equal if they read the rest in the same way. The last attribute doesn't matter. */
  snapshot(): string {
    switch (this.mode) {
      case 'text':
      case 'comment':
        return this.mode
      case 'tag':
      case 'attribute':
        return `tag ${this.tag} ${this.closing}`
      default:
        return `${this.mode} ${this.tag} ${this.closing} ${this.attribute} ${this.quote}`
    }
  }

  copy(): Tokenizer {
    return Object.assign(new Tokenizer(), this)
  }

  feed(text: string, events: TokenEvents): void {
    let at = 0
    this.#began = 0
    while (at < text.length) {
      switch (this.mode) {
        case 'text':
          at = this.#text(text, at, events)
          break
        case 'comment': {
          const end = text.indexOf('-->', at)
          if (end >= 0) this.mode = 'text'
          at = end < 0 ? text.length : end + 3
          break
        }
        case 'verbatim':
          at = this.#verbatim(text, at, events)
          break
        case 'value': {
          const end = text.indexOf(this.quote, at)
          this.noteValue(text.slice(at, end < 0 ? undefined : end))
          if (end >= 0) {
            this.mode = 'tag'
            this.attribute = ''
            events.valueEnd(end)
          }
          at = end < 0 ? text.length : end + 1
          break
        }
        default:
          this.#inTag(text[at]!, at, events)
          at++
      }
    }
  }

  #text(text: string, from: number, events: TokenEvents): number {
    const found = text.indexOf('<', from)
    const end = found < 0 ? text.length : found
    const words = text.slice(from, end).search(/\S/)
    if (words >= 0) events.words(from + words)
    if (found < 0) return text.length
    if (text.startsWith('<!--', found)) {
      this.mode = 'comment'
      // `<!-->` is a whole comment.
      return found + 2
    }
    const next = text[found + 1] ?? ''
    const afterSlash = text[found + 2] ?? ''
    if (next === '!' || next === '?') {
      const end = text.startsWith('<![CDATA[', found) ? ']]>' : '>'
      const close = text.indexOf(end, found)
      return close < 0 ? text.length : close + end.length
    }
    const closing = next === '/'
    if (!/[a-z]/i.test(closing ? afterSlash : next)) return found + 1
    this.mode = 'name'
    this.#began = found
    this.hasWidth = false
    this.closing = closing
    this.tag = ''
    this.attribute = ''
    this.#slash = false
    return found + (closing ? 2 : 1)
  }

  #verbatim(text: string, from: number, events: TokenEvents): number {
    const endTag = VERBATIM.get(this.tag)!
    endTag.lastIndex = from
    const end = endTag.exec(text)?.index
    if (end === undefined) return text.length
    const close = text.indexOf('>', end)
    this.mode = 'text'
    events.close(this.tag, end)
    return close < 0 ? text.length : close + 1
  }

  #inTag(character: string, at: number, events: TokenEvents): void {
    if (character === '>') return this.#endTag(at, events)
    const space = SPACE.test(character)
    switch (this.mode) {
      case 'name':
        if (NAME.test(character)) this.tag += character.toLowerCase()
        else this.#between(character)
        return
      case 'tag':
      case 'attribute':
        if (character === '=') {
          this.mode = 'equals'
          this.value = ''
        } else if (space || character === '/') this.#between(character)
        else {
          if (this.mode === 'tag') this.attribute = ''
          this.mode = 'attribute'
          this.#slash = false
          this.attribute += character
        }
        return
      case 'equals':
        if (space) return
        if (character === '"' || character === "'") {
          this.mode = 'value'
          this.quote = character
          this.hasWidth ||= this.attribute === 'width'
          events.valueStart(this.tag, this.attribute, at + 1)
        } else {
          this.mode = 'unquoted'
          this.noteValue(character)
          this.hasWidth ||= this.attribute === 'width'
        }
        return
      default:
        if (space) this.#between(character)
        else this.noteValue(character)
    }
  }

  #between(character: string): void {
    this.mode = 'tag'
    this.#slash = character === '/'
  }

  #endTag(at: number, events: TokenEvents): void {
    const { tag, closing } = this
    this.mode = !closing && !this.#slash && VERBATIM.has(tag) ? 'verbatim' : 'text'
    if (closing) events.close(tag, this.#began)
    else events.open(tag, this.#slash, at)
    this.#slash = false
  }
}
