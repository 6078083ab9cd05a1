import { type Checker, isPlainObject } from '../check.js'

/** The queue as an object, where more than its URL is to be said. */
export interface QueueOptions {
  /** `memory`, or `sqlite:PATH` */
  url: string
  /** Bytes an SQLite file may have; then mail is refused with `QUEUE_UNAVAILABLE` until some has been sent. @default no limit but the disk's */
  maxSize?: number
}

export type QueueSpec = { kind: 'memory' } | { kind: 'sqlite'; file: string; maxSize?: number }

const SQLITE = 'sqlite:'
/** An empty file and the log of one commit fit into this many bytes. */
const SMALLEST = 1024 * 1024

export function resolveQueue(check: Checker, value: unknown): QueueSpec {
  const given = isPlainObject(value) ? check.object(value, 'queue', ['url', 'maxSize']) : { url: value }
  const path = isPlainObject(value) ? 'queue.url' : 'queue'
  const url = check.string(given['url'], path)
  if (url.startsWith(SQLITE)) {
    const file = url.slice(SQLITE.length).replace(/^\/\/(?=\/)/, '')
    if (file === '') check.fail(path, "names no file: write 'sqlite:./outbox.db'")
    if (file.startsWith(':memory:'))
      check.fail(path, "must name a file; for a queue in memory write 'memory'")
    if (file.includes('\0')) check.fail(path, 'must not contain NUL')
    if (given['maxSize'] === undefined) return { kind: 'sqlite', file }
    return { kind: 'sqlite', file, maxSize: check.integer(given['maxSize'], 'queue.maxSize', SMALLEST) }
  }
  if (url !== 'memory') check.fail(path, "must be 'memory' or 'sqlite:PATH'")
  if (given['maxSize'] !== undefined) check.fail('queue.maxSize', 'is for sqlite: only; see limits.queue')
  return { kind: 'memory' }
}
