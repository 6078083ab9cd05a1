import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ThreadpostError } from '../errors.js'
import type { Logger } from '../logging/logger.js'
import { isId } from '../message/ids.js'
import type { MessageState } from '../message/messageState.js'
import { conflict, withReports } from '../queue/actions.js'
import type { QueueDriver } from '../queue/driver.js'
import type { SharedRecord } from '../queue/records.js'
import { type Suppression, suppressionKey } from '../suppressions/suppression.js'
import type { Suppressions } from '../suppressions/suppressions.js'
import type { Metrics } from '../telemetry/metrics.js'
import { isPlainObject, Validator } from '../validation.js'
import { isAbout, RecipientFinder } from './applyReports.js'
import type { BouncePlan } from './bounceAddress.js'
import {
  type CheckedReport,
  checkReport,
  rawOf,
  type DeliveryReport,
  type ReportOptions,
} from './deliveryReport.js'
import { joinDelivery, reasonToSuppress, type RecipientReport } from './deliveryStates.js'
import { EarlyReports, namesIn } from './earlyReports.js'
import { rangeOfProviderId } from './providerIds.js'

export interface FeedbackDependencies {
  queue: QueueDriver
  suppressions: Suppressions
  metrics: Metrics
  logger: Logger
  bounces: BouncePlan | undefined
}

/** Reports of one call. */
const MAX_REPORTS = 10_000
/** Reports that are checked in one turn of the event loop. */
const STEP = 100
/** Messages that are changed at the same time. */
const CONCURRENCY = 200
/** Milliseconds between two attempts to report on a message that is being sent, and how often that is tried. */
const BUSY_DELAY = 100
const BUSY_ATTEMPTS = 50

/** Milliseconds for which reports with a name are taken in only once. */
const ONCE = 60 * 60_000

const check: Validator = new Validator('INVALID_MESSAGE')

/**
 * Takes in what becomes known of messages after the next server accepted them: finds the message of each report, suppresses dead
 * and complaining addresses, and stores the rest with the message's recipient.
 */
export class Feedback {
  readonly #parts: FeedbackDependencies
  readonly #early: EarlyReports

  constructor(parts: FeedbackDependencies) {
    this.#parts = parts
    this.#early = new EarlyReports(parts.queue.records)
  }

  /**
   * @returns how many reports could be matched
   * @throws ThreadpostError `INVALID_MESSAGE`, `QUEUE_UNAVAILABLE`; `CONFLICT` if a message is still being sent
   */
  async report(
    input: DeliveryReport | readonly DeliveryReport[],
    options: ReportOptions = {},
  ): Promise<number> {
    const list = Array.isArray(input) ? check.array(input, '', MAX_REPORTS) : [input]
    const now = Date.now()
    const checked: CheckedReport[] = []
    const invalid: ThreadpostError[] = []
    for (const [index, report] of list.entries()) {
      const path = Array.isArray(input) ? `[${index}]` : ''
      if (index % STEP === STEP - 1) await nextTurn()
      try {
        if (isPlainObject(report) && 'raw' in report)
          checked.push(...(await this.#readMail(report, path, now)))
        else checked.push(checkReport(report, path, now))
      } catch (error) {
        if (!(error instanceof ThreadpostError) || error.code !== 'INVALID_MESSAGE') throw error
        invalid.push(error)
      }
    }
    if (invalid.length > 0) throw together(invalid)
    const { once } = check.object(options, 'options', ['once'])
    return once === undefined
      ? this.take(checked)
      : this.#once(check.string(once, 'options.once', 500), () => this.take(checked))
  }

  async #readMail(report: unknown, path: string, now: number): Promise<CheckedReport[]> {
    const { raw, unverified } = rawOf(report, path, check)
    const { reportsOfMail, readMail } = await import('./mail/reportMail.js')
    const mail = await readMail(raw)
    return mail === undefined ? [] : reportsOfMail(mail, this.#parts.bounces, unverified, now)
  }

  /** The name is stored last, so that what fails can be repeated; what is taken in twice for that has no second effect. */
  async #once(name: string, take: () => Promise<number>): Promise<number> {
    const { records } = this.#parts.queue
    const key = `o:${createHash('sha256').update(name).digest('base64url')}`
    const [found = []] = await records.read([{ from: key, to: `${key}\x00`, limit: 1 }])
    if (found.length > 0) return 0
    const matched = await take()
    await records.write([{ key, keepUntil: Date.now() + ONCE, document: '' }])
    return matched
  }

  /** Takes in checked reports. @returns how many could be matched */
  async take(reports: readonly CheckedReport[]): Promise<number> {
    const byMessage = new Map<string, RecipientReport[]>()
    const ids = await this.#idsOf(reports)
    const unknown = reports.filter((_, index) => ids[index] === undefined)
    const early = await this.#early.keep(unknown, Date.now())
    if (early.length > 0) for (const [index, id] of (await this.#idsOf(reports)).entries()) ids[index] ??= id
    for (const [index, { recipient, key, orOnly, delivery }] of reports.entries()) {
      const id = ids[index]
      if (id === undefined) continue
      const group = byMessage.get(id) ?? []
      byMessage.set(id, group)
      group.push({
        delivery,
        ...(recipient === undefined ? {} : { recipient }),
        ...(key === undefined ? {} : { key }),
        ...(orOnly === undefined ? {} : { orOnly }),
      })
    }
    let matched = 0
    const groups = [...byMessage]
    for (let start = 0; start < groups.length; start += CONCURRENCY) {
      const counts = await Promise.all(
        groups.slice(start, start + CONCURRENCY).map(([id, group]) => this.#store(id, group)),
      )
      for (const count of counts) matched += count
    }
    this.#note(reports, matched)
    return matched
  }

  /** The ids of the messages, as far as they are known. */
  async #idsOf(reports: readonly CheckedReport[]): Promise<(string | undefined)[]> {
    const ids = reports.map(({ id, messageId }) => (id !== undefined && isId(id) ? id : idIn(messageId)))
    // Reports of one mail or batch name the same message many times.
    const names = new Set(
      reports.flatMap((report, index) => (ids[index] === undefined ? namesIn(report) : [])),
    )
    if (names.size === 0) return ids
    const { records } = this.#parts.queue
    const found = await records.read([...names].map(rangeOfProviderId))
    const known = new Map([...names].map((name, place) => [name, documentOf(found[place])]))
    return ids.map((id, index) => id ?? namesIn(reports[index]!).flatMap((name) => known.get(name) ?? [])[0])
  }

  /** @returns how many of the reports are about a recipient to whom the message was sent */
  async #store(id: string, reports: readonly RecipientReport[]): Promise<number> {
    const { queue } = this.#parts
    try {
      let matched = 0
      await this.#retrying(async () => {
        await this.#suppress(id, reports)
        await queue.change(id, (target) => {
          const reported = withReports(reports)(target)
          matched = matchesIn(target.state, reports)
          return reported
        })
      })
      return matched
    } catch (error) {
      if (error instanceof ThreadpostError && error.code === 'NOT_FOUND') return 0
      throw error
    }
  }

  /** Suppresses first: a report that is stored is not repeated, so the suppression would be lost if the process ended in between. */
  async #suppress(id: string, reports: readonly RecipientReport[]): Promise<void> {
    const { queue, suppressions } = this.#parts
    if (!reports.some(({ delivery }) => reasonToSuppress(delivery) !== undefined)) return
    const message = await queue.find(id)
    if (message === undefined) return
    // Which recipients it was sent to is known once its outcome is stored.
    if (message.status === 'sending')
      throw conflict(id, 'is still being sent; report on it after it is settled')
    const finder = new RecipientFinder(message.recipients)
    const entries = reports.flatMap((report): Suppression[] => {
      const { delivery } = report
      const reason = reasonToSuppress(delivery)
      const recipient = finder.find(report)
      if (reason === undefined || recipient === undefined || !isAbout(recipient, message, delivery)) return []
      if (report.orOnly === true && message.recipients.length > 1) return []
      if (joinDelivery(recipient.delivery, delivery) === undefined) return []
      return [
        {
          address: suppressionKey(recipient.address),
          reason,
          since: delivery.at,
          ...(reason === 'unsubscribe' ? { stream: message.stream } : {}),
          ...(delivery.detail === undefined ? {} : { detail: delivery.detail }),
        },
      ]
    })
    if (entries.length === 0) return
    try {
      await suppressions.addAll(entries)
    } catch (error) {
      if (!(error instanceof ThreadpostError) || error.code !== 'QUEUE_FULL') throw error
      this.#parts.logger.error({ id, code: error.code }, error.message)
    }
  }

  /** A report may come before the outcome of the attempt is stored. */
  async #retrying(store: () => Promise<unknown>): Promise<void> {
    for (let attempt = 1; ; attempt++)
      try {
        await store()
        return
      } catch (error) {
        const busy = error instanceof ThreadpostError && error.code === 'CONFLICT'
        if (!busy || attempt === BUSY_ATTEMPTS) throw error
        await new Promise((resolve) => setTimeout(resolve, BUSY_DELAY))
      }
  }

  #note(reports: readonly CheckedReport[], matched: number): void {
    const unmatched = reports.length - matched
    if (unmatched === 0) return
    this.#parts.metrics.reportsUnmatched(unmatched)
    const sources = [...new Set(reports.map(({ delivery: { source } }) => source))]
    this.#parts.logger.debug(
      { reports: reports.length, unmatched, sources },
      'Some delivery reports are about no message that is kept',
    )
  }
}

/** The first error, with the paths of all: so the caller can drop what is invalid at once. */
function together(errors: readonly ThreadpostError[]): ThreadpostError {
  const [first] = errors as [ThreadpostError]
  if (errors.length === 1 && first.path === undefined) return first
  const { code, message, path = '' } = first
  return new ThreadpostError(code, message, { path, paths: errors.map((error) => error.path ?? '') })
}

/** The id in a Message-ID that threadpost assigned. */
function idIn(messageId: string | undefined): string | undefined {
  const id = /^<?([0-9a-f-]{36})@/.exec(messageId ?? '')?.[1]
  return id !== undefined && isId(id) ? id : undefined
}

function documentOf(records: readonly SharedRecord[] = []): string | undefined {
  return records[0]?.document
}

function matchesIn(state: MessageState, reports: readonly RecipientReport[]): number {
  const finder = new RecipientFinder(state.recipients)
  return reports.filter((report) => {
    const recipient = finder.find(report)
    return recipient !== undefined && isAbout(recipient, state, report.delivery)
  }).length
}
