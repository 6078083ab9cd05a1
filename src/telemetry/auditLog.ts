import { newToken } from '../message/ids.js'
import { parseJson } from '../protocol/parseJson.js'
import { rangeOf, type RecordChange, type SharedRecords } from '../queue/records.js'

/** An operator's action that changed how mail is sent. */
export interface AuditEntry {
  /** ISO 8601. */
  at: string
  /** Name of the operator or token; absent if the application's own code acted. */
  by?: string
  /** Such as `paused the queue`. */
  action: string
  /** Name of the transport, if the action concerns one. */
  target?: string
}

const PREFIX = 'a:'
/** Milliseconds for which an entry is kept: 90 days. */
const KEEP = 90 * 24 * 60 * 60_000

/** The audit log of a queue, shared by all processes on it. */
export class AuditLog {
  readonly #records: SharedRecords
  /** Time in the key of the last entry: two entries of one millisecond keep their order. */
  #last = 0

  constructor(records: SharedRecords) {
    this.#records = records
  }

  /** Returns the change that adds an entry, to be stored together with the change that it records. */
  entry({ by, action, target }: { by: string | undefined; action: string; target?: string }): RecordChange {
    const now = Date.now()
    const entry: AuditEntry = {
      at: new Date(now).toISOString(),
      ...(by === undefined ? {} : { by }),
      action,
      ...(target === undefined ? {} : { target }),
    }
    this.#last = Math.max(now, this.#last + 1)
    const key = `${PREFIX}${String(this.#last).padStart(13, '0')}:${newToken()}`
    return { key, keepUntil: now + KEEP, document: JSON.stringify(entry) }
  }

  async add(entry: { by: string | undefined; action: string }): Promise<void> {
    await this.#records.write([this.entry(entry)])
  }

  /** Returns the entries, newest first. */
  async list(): Promise<AuditEntry[]> {
    const [found = []] = await this.#records.read([rangeOf(PREFIX)])
    return found.reverse().map(({ document = '{}' }) => parseJson(document) as AuditEntry)
  }
}
