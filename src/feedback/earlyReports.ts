import { createHash, randomUUID } from 'node:crypto'
import { parseJson } from '../protocol/parseJson.js'
import { type RecordChange, type RecordRange, rangeOf, type SharedRecords } from '../queue/records.js'
import { Fifo } from '../structures/fifo.js'
import type { CheckedReport } from './deliveryReport.js'

/** Prefix of the keys of reports whose message is not known yet. */
export const PREFIX = 'early:'
/** Milliseconds for which a report waits for its message. */
const KEEP = 5 * 60_000
/** A report of something that happened longer ago than this, in ms, is not early: its message is gone, or is somebody else's. */
const RECENT = 10 * 60_000
/** Reports that one process keeps at a time, and those that are read for one name. */
const MAX_KEPT = 10_000
const MAX_FOR_NAME = 100

/**
 * Keeps reports that came before the id that they name: a provider may report a mail while its answer is on the way to the process that
 * sent it, or while that process stores it. They are in the queue's records, so they outlive the process, and whichever process stores
 * the id finds them.
 *
 *     process that reports       write the report ──► look for the id again
 *     process that has sent      write the id ──────► look for reports            one of the two sees what the other wrote
 */
export class EarlyReports {
  readonly #records: SharedRecords
  /** The times at which the reports of this process are dropped, the oldest first. */
  readonly #kept = new Fifo<number>()

  constructor(records: SharedRecords) {
    this.#records = records
  }

  /** @returns the reports that were kept: the caller must look for their messages again */
  async keep(reports: readonly CheckedReport[], now: number): Promise<readonly CheckedReport[]> {
    while ((this.#kept.peek() ?? now + 1) <= now) this.#kept.shift()
    const early = reports.filter((report) => isEarly(report, now)).slice(0, MAX_KEPT - this.#kept.size)
    if (early.length === 0) return early
    const keepUntil = now + KEEP
    const changes = early.flatMap((report) => {
      const document = JSON.stringify(report)
      return namesIn(report).map((name): RecordChange => {
        return { key: `${prefixOf(name)}${randomUUID()}`, keepUntil, document }
      })
    })
    await this.#records.write(changes)
    early.forEach(() => this.#kept.push(keepUntil))
    return early
  }
}

/** The names of a report's message that others gave it. */
export function namesIn({ providerId, messageId }: CheckedReport): string[] {
  return [...new Set([providerId, messageId])].filter((name) => name !== undefined)
}

/**
 * Reads the reports that came before the id of a message was stored under some names.
 * @param names each with the id
 * @returns the reports, and the changes that remove them once they were taken in
 */
export async function readEarlyReports(
  records: SharedRecords,
  names: ReadonlyMap<string, string>,
): Promise<{ reports: CheckedReport[]; removals: RecordChange[] }> {
  const ranges = [...names.keys()].map((name): RecordRange => ({
    ...rangeOf(prefixOf(name)),
    limit: MAX_FOR_NAME,
  }))
  const found = await records.read(ranges)
  const ids = [...names.values()]
  const reports = found.flatMap((list, place) =>
    list.flatMap(({ document }) =>
      document === undefined ? [] : { ...(parseJson(document) as CheckedReport), id: ids[place]! },
    ),
  )
  return { reports, removals: found.flat().map(({ key }) => ({ key, keepUntil: 0, remove: true })) }
}

/** Anybody may send mails with reports, so only those of providers and of the application are kept. */
function isEarly({ mayBeEarly, delivery }: CheckedReport, now: number): boolean {
  return mayBeEarly === true && Date.parse(delivery.at) > now - RECENT
}

function prefixOf(name: string): string {
  const bare = name.replace(/^<|>$/g, '')
  return `${PREFIX}${createHash('sha256').update(bare).digest('base64url')}:`
}
