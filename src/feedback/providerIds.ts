import { createHash } from 'node:crypto'
import type { RecordChange, RecordRange } from '../queue/records.js'

/** Prefix of the keys by which messages are found under the ids that others gave them. */
export const PREFIX = 'i:'
const MAX_KEY = 150

/** A key for an id of a provider, or for a Message-ID; brackets make no difference. */
function keyOf(name: string): string {
  const bare = name.replace(/^<|>$/g, '')
  const encoded = encodeURIComponent(bare.toWellFormed())
  return PREFIX + (encoded.length <= MAX_KEY ? encoded : createHash('sha256').update(bare).digest('hex'))
}

export function rangeOfProviderId(name: string): RecordRange {
  const key = keyOf(name)
  return { from: key, to: `${key}\x00`, limit: 1 }
}

/** The change that lets reports find a message by another id. @param keepUntil milliseconds since the epoch */
export function providerIdChange(name: string, id: string, keepUntil: number): RecordChange {
  return { key: keyOf(name), keepUntil, document: id }
}
