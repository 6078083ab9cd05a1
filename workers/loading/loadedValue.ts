import { parseJson } from '../../src/protocol/parseJson.js'
import type { Json, JsonObject, JsonText, LoadedAttachment, LoadedValue } from '../../src/protocol/tasks.js'
import { LoadFailure, Skip } from './loadFailure.js'

const FIELDS = ['data', 'to', 'locale', 'attachments', 'skip']
const ATTACHMENT_FIELDS = ['filename', 'content', 'path', 'encoding', 'contentType', 'cid'] as const

/**
 * Converts what a `load` function returned to plain data. Streams are read here. The main thread validates the rest, by the
 * rules for a mail.
 * @param given the data of the mail; what `load` returned is added to it
 * @param limit bytes; more is not even read, because nothing else runs in the thread meanwhile
 * @throws LoadFailure if it is not what a load function may return
 */
export async function readLoaded(
  value: unknown,
  given: JsonObject,
  limit: number,
): Promise<LoadedValue | Skip> {
  if (value === undefined || value === null) return {}
  const { data, to, locale, attachments, skip } = fieldsOf(value, 'the value', FIELDS)
  if (skip !== undefined && skip !== null && skip !== false) {
    if (typeof skip !== 'string' || skip.trim() === '') throw garbage('skip must be a text, the reason')
    return new Skip(skip.replace(/\s+/g, ' ').slice(0, 200))
  }
  const loaded: LoadedValue = {}
  const budget = new Budget(limit)
  if (data !== undefined) {
    const added = fieldsOf(toJson(data, 'data', budget), 'data')
    loaded.data = JSON.stringify({ ...given, ...added }) as JsonText
  }
  if (to !== undefined) loaded.to = toJson(to, 'to', budget)
  if (locale !== undefined) loaded.locale = toJson(locale, 'locale', budget)
  if (attachments !== undefined) {
    if (!Array.isArray(attachments)) throw garbage('attachments must be a list')
    loaded.attachments = []
    for (const [index, entry] of attachments.entries())
      loaded.attachments.push(await attachmentOf(entry, `attachments[${index}]`, budget))
  }
  return loaded
}

function fieldsOf(value: unknown, at: string, known?: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw garbage(`${at} must be an object`)
  const unknown = Object.keys(value).find((key) => known !== undefined && !known.includes(key))
  if (unknown !== undefined)
    throw garbage(`${at} has the unknown field ${unknown.slice(0, 50)}; known: ${known?.join(', ') ?? ''}`)
  return value as Record<string, unknown>
}

/** @throws LoadFailure if the value can't be written as JSON */
function toJson(value: unknown, at: string, budget: Budget): Json {
  let text: string
  try {
    // A value without JSON, such as a function, is left out.
    text = JSON.stringify({ value }, (key, entry: unknown) => {
      budget.spend(key.length + (typeof entry === 'string' ? entry.length : 1))
      return entry
    })
  } catch (error) {
    if (error instanceof LoadFailure) throw error
    throw garbage(`${at} can't be written as JSON: ${(error as Error).message.slice(0, 60)}`)
  }
  const { value: plain } = parseJson(text) as { value?: Json }
  if (plain === undefined) throw garbage(`${at} can't be written as JSON`)
  return plain
}

async function attachmentOf(value: unknown, at: string, budget: Budget): Promise<LoadedAttachment> {
  const fields = fieldsOf(value, at, ATTACHMENT_FIELDS)
  const { content, ...rest } = fields
  const attachment: LoadedAttachment = toJson(rest, at, budget) as object
  if (content === undefined) return attachment
  if (typeof content === 'string') {
    budget.spend(content.length)
    return { ...attachment, content }
  }
  return { ...attachment, content: joined(await bytesOf(content, at, budget)) }
}

async function bytesOf(content: unknown, at: string, budget: Budget): Promise<readonly Uint8Array[]> {
  if (content instanceof ArrayBuffer || ArrayBuffer.isView(content)) {
    budget.spend(content.byteLength)
    return content instanceof ArrayBuffer
      ? [new Uint8Array(content)]
      : [new Uint8Array(content.buffer, content.byteOffset, content.byteLength)]
  }
  if (typeof content !== 'object' || content === null || !(Symbol.asyncIterator in content))
    throw garbage(`${at}.content must be text, bytes, or a stream`)
  const chunks: Uint8Array[] = []
  for await (const chunk of content as AsyncIterable<unknown>) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (!(bytes instanceof Uint8Array))
      throw garbage(`${at}.content is a stream of something other than bytes`)
    budget.spend(bytes.byteLength)
    chunks.push(bytes)
  }
  return chunks
}

/** Copies bytes into memory of their own. Not into shared memory: V8 doesn't count that towards its next collection. */
function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.byteLength
  }
  return bytes
}

/** The bytes that a value may have; characters and the values in a list count as one. The main thread counts exactly. */
class Budget {
  #left: number

  constructor(readonly limit: number) {
    this.#left = limit
  }

  /** @throws LoadFailure if the value is too large */
  spend(bytes: number): void {
    this.#left -= bytes
    if (this.#left < 0) throw garbage(`it is larger than ${this.limit} bytes (limits.message)`)
  }
}

function garbage(problem: string): LoadFailure {
  return new LoadFailure(`The load function returned a value that is not allowed: ${problem}`, true)
}
