import {
  ADDRESS_KEY,
  type RecordChange,
  type RecordRange,
  type SharedRecord,
  type SharedRecords,
} from '../records.js'
import { type Cipher, isSealedText } from './cipher.js'

/** Begins the token of an address in a key: a character that no encoded address contains. */
const TOKEN = '='
/** Records that are read without their document if no key opens it: the others would seem to have been removed. */
const LISTED = /^(?:s|hook:event):/

/**
 * Records whose documents are sealed, and whose keys name no address: its token is in its place. Numbers stay clear. A sealed
 * document is bound to its key.
 */
export class SealedRecords implements SharedRecords {
  readonly #records: SharedRecords
  readonly #cipher: Cipher

  constructor(records: SharedRecords, cipher: Cipher) {
    this.#records = records
    this.#cipher = cipher
  }

  write(changes: readonly RecordChange[]): Promise<void> {
    return this.#records.write(this.seal(changes))
  }

  /** Returns changes with sealed documents. */
  seal(changes: readonly RecordChange[]): RecordChange[] {
    return changes.flatMap((change) => this.#seal(change))
  }

  async read(ranges: readonly RecordRange[]): Promise<SharedRecord[][]> {
    const forms = ranges.map((range) => this.#formsOf(range))
    const found = await this.#records.read(forms.flat())
    let at = 0
    return forms.map((each) => {
      const lists = found.slice(at, (at += each.length))
      return lists.flat().flatMap((record) => this.#open(record))
    })
  }

  /** The record is stored in its first form only; its other forms are removed. */
  #seal(change: RecordChange): RecordChange[] {
    const [key = change.key, ...others] = this.#keysOf(change.key)
    const removed = others.map((other): RecordChange => ({ key: other, keepUntil: 0, remove: true }))
    const { document } = change
    // Another queue, with other keys, needs the key itself.
    const text = key === change.key ? document : `${change.key}\n${document ?? ''}`
    if (document === undefined || document === '') return [{ ...change, key }, ...removed]
    return [{ ...change, key, document: this.#cipher.sealText(text ?? document, placeOf(key)) }, ...removed]
  }

  /**
   * A record that no key opens is left out. Only a suppression is not, so that the pages of the list keep their length, and an event
   * for a webhook, which waits for a process that has the key.
   */
  #open(record: SharedRecord): SharedRecord[] {
    const { document, ...rest } = record
    if (document === undefined || !isSealedText(document)) return [record]
    const text = this.#cipher.openText(document, placeOf(record.key))
    if (text !== undefined && !isToken(record.key)) return [{ ...rest, document: text }]
    if (text !== undefined) {
      const end = text.indexOf('\n')
      return [{ ...rest, name: text.slice(0, end), document: text.slice(end + 1) }]
    }
    return LISTED.test(record.key) ? [rest] : []
  }

  /** The ranges in which the records of one address may be stored; any other range is itself. */
  #formsOf(range: RecordRange): RecordRange[] {
    const { from, to } = range
    const [, prefix] = ADDRESS_KEY.exec(from) ?? []
    if (prefix === undefined || !to.startsWith(prefix)) return [range]
    return this.#keysOf(prefix).map((key) => ({
      ...range,
      from: key + from.slice(prefix.length),
      to: key + to.slice(prefix.length),
    }))
  }

  /** The forms of a key, the one that is stored first. */
  #keysOf(key: string): string[] {
    const [, prefix, start, address] = ADDRESS_KEY.exec(key) ?? []
    if (prefix === undefined || address === undefined || isToken(key)) return [key]
    const rest = key.slice(prefix.length)
    const tokens = this.#cipher.tokens('suppression', address)
    return [...tokens.map((token) => `${start}${TOKEN}${token}:${rest}`), key]
  }
}

/** Whether a key has a token in place of an address. */
function isToken(key: string): boolean {
  return ADDRESS_KEY.exec(key)?.[3]?.startsWith(TOKEN) === true
}

function placeOf(key: string): string {
  return `record ${key}`
}
