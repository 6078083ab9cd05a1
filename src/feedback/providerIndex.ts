import type { Logger } from '../logging/logger.js'
import { isId } from '../message/ids.js'
import type { MailJob } from '../message/messageState.js'
import type { Outcome } from '../protocol/outcome.js'
import type { QueueDriver, Retention } from '../queue/driver.js'
import { Batcher } from '../structures/batcher.js'
import { Fifo } from '../structures/fifo.js'
import type { CheckedReport } from './deliveryReport.js'
import { readEarlyReports } from './earlyReports.js'
import { providerIdChange } from './providerIds.js'

/** The reply of a service: nothing but the id that it gave the message. */
const SERVICE_ID = /^<?([\w.+=@/-]{6,200})>?$/
/** The reply of a provider's SMTP server: Amazon SES, SendGrid. Queue ids of ordinary servers are shorter. */
const SMTP_ID = /^(?:2\.\d\.\d )?ok:? (?:queued as )?<?([\w.@-]{16,200})>?$/i

/** The id that a provider gave a message, if its reply has one. */
function providerIdIn(text: string): string | undefined {
  const id = (SERVICE_ID.exec(text) ?? SMTP_ID.exec(text))?.[1]
  return id === undefined || !/\d/.test(id) ? undefined : id
}

/** Another id of a message. */
interface Note {
  name: string
  id: string
}

/**
 * Notes under which other ids reports may name a message: the id that the provider gave it, and a Message-ID of the caller's own. The
 * ids that one process notes are as many as the settled messages that are kept, and are kept as long. Reports that came before their id are taken in with it.
 */
export class ProviderIndex {
  readonly #queue: QueueDriver
  readonly #retain: Retention
  readonly #logger: Logger
  readonly #report: (reports: CheckedReport[]) => Promise<unknown>
  readonly #notes = new Batcher<Note>(() => void this.#write())
  /** Keys in the order in which they were noted. */
  readonly #keys = new Fifo<string>()

  /** @param report takes in the reports that came before the ids that they name */
  constructor(
    queue: QueueDriver,
    retain: Retention,
    logger: Logger,
    report: (reports: CheckedReport[]) => Promise<unknown>,
  ) {
    this.#queue = queue
    this.#retain = retain
    this.#logger = logger
    this.#report = report
  }

  /** Must be called with the outcome of each attempt. */
  attempted({ id, messageId }: MailJob, outcome: Outcome): void {
    // A report about a message that may have been sent settles it.
    if (outcome.result !== 'sent' && outcome.result !== 'uncertain') return
    const names = new Set<string>()
    const replies = [outcome.reply, ...outcome.recipients.map(({ reply }) => reply)]
    for (const reply of replies) {
      const name = reply === undefined ? undefined : providerIdIn(reply.text)
      if (name !== undefined) names.add(name)
    }
    if (!isId(messageId.slice(1, 37))) names.add(messageId)
    for (const name of names) this.#notes.add({ name, id })
  }

  async #write(): Promise<void> {
    const notes = this.#notes.take()
    const keepUntil = Date.now() + this.#retain.age
    const changes = notes.map(({ name, id }) => providerIdChange(name, id, keepUntil))
    for (const { key } of changes) this.#keys.push(key)
    while (this.#keys.size > this.#retain.count)
      changes.push({ key: this.#keys.shift()!, keepUntil: 0, remove: true })
    try {
      await this.#queue.records.write(changes)
      const names = new Map(notes.map(({ name, id }) => [name, id]))
      const { reports, removals } = await readEarlyReports(this.#queue.records, names)
      if (reports.length === 0) return
      await this.#report(reports)
      await this.#queue.records.write(removals)
    } catch (error) {
      this.#logger.debug({ err: error }, 'The ids that providers gave messages could not be stored')
    }
  }
}
