import { parseJson } from '../protocol/parseJson.js'
import type { QueueDriver } from '../queue/driver.js'
import { rangeOf, type SharedRecords } from '../queue/records.js'
import { AuditLog } from '../telemetry/auditLog.js'
import { Validator } from '../validation.js'
import type { TransportChange, TransportManager } from './transportManager.js'
import { MAX_NAME } from './transportMap.js'

/** Prefix of the keys of changed transports. */
export const PREFIX = 't:'
/** Milliseconds between two looks for changes that other processes made. */
const INTERVAL = 2_000
/** Changes are kept until they are undone. */
const FOREVER = Number.MAX_SAFE_INTEGER
const FASTEST = 1_000_000
const SLOWEST = 0.001

const check: Validator = new Validator('INVALID_OPTIONS')

/** The limits that {@link Mailer.changeTransport} takes; null restores the transport's own. */
export interface TransportLimits {
  /** Maximum number of connections at a time, in each process. */
  concurrency?: number | null
  /** Maximum number of messages per second, over all processes on a Redis queue. */
  rate?: number | null
}

/**
 * The changes of transports at run time: paused, concurrency, and rate. They are stored in the queue, so that they apply in every
 * process, and survive a restart if the queue does.
 */
export class TransportSettings {
  readonly auditLog: AuditLog
  readonly #records: SharedRecords
  readonly #manager: TransportManager
  readonly #timer: NodeJS.Timeout | undefined
  #applied = ''

  constructor({ queue, manager }: { queue: QueueDriver; manager: TransportManager }) {
    this.#records = queue.records
    this.#manager = manager
    this.auditLog = new AuditLog(queue.records)
    // No other process changes what is in the memory of this one.
    if (queue.durable) this.#timer = setInterval(() => void this.refresh(), INTERVAL).unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Applies the stored changes. Never rejects: what can't be read now is read next time. */
  async refresh(): Promise<void> {
    try {
      await this.#apply(await this.#read())
    } catch {
      // The queue reports its own failures.
    }
  }

  /** @throws ThreadpostError `INVALID_OPTIONS`, `QUEUE_UNAVAILABLE` */
  async pause(transport: unknown, paused: boolean, by: string | undefined): Promise<void> {
    await this.#change(transport, by, paused ? 'paused the transport' : 'resumed the transport', (before) => {
      const { paused: _, ...limits } = before
      return paused ? { ...limits, paused } : limits
    })
  }

  /** @throws ThreadpostError `INVALID_OPTIONS`, `QUEUE_UNAVAILABLE` */
  async limit(transport: unknown, input: unknown, by: string | undefined): Promise<void> {
    const limits = check.object(input, '', ['concurrency', 'rate'])
    const { concurrency, rate } = limits
    if (concurrency === undefined && rate === undefined) check.fail('', 'give concurrency, rate, or both')
    if (concurrency !== undefined && concurrency !== null)
      check.integer(concurrency, 'concurrency', 1, 10_000)
    if (rate !== undefined && rate !== null) check.number(rate, 'rate', SLOWEST, FASTEST)
    const texts = Object.entries(limits).map(
      ([name, value]) => `${name}: ${value === null ? 'as configured' : JSON.stringify(value)}`,
    )
    await this.#change(transport, by, `changed the transport: ${texts.join(', ')}`, (before) => {
      const merged: Record<string, unknown> = { ...before, ...limits }
      return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null))
    })
  }

  async #change(
    transport: unknown,
    by: string | undefined,
    action: string,
    change: (before: TransportChange) => TransportChange,
  ): Promise<void> {
    const manager = this.#manager
    const name = check.string(transport, 'transport', MAX_NAME)
    // A process that only sends doesn't know the transports.
    if (manager.first !== undefined && !manager.open && !manager.has(name))
      check.fail('transport', 'there is no such transport')
    const changes = await this.#read()
    const after = change(changes.get(name) ?? {})
    const key = PREFIX + encodeURIComponent(name)
    await this.#records.write([
      Object.keys(after).length === 0
        ? { key, keepUntil: 0, remove: true }
        : { key, keepUntil: FOREVER, document: JSON.stringify({ name, ...after }) },
      this.auditLog.entry({ by, action, target: name }),
    ])
    await this.#apply(await this.#read())
  }

  async #read(): Promise<Map<string, TransportChange>> {
    const [found = []] = await this.#records.read([rangeOf(PREFIX)])
    return new Map(
      found.map(({ document = '{}' }) => {
        const { name, ...change } = parseJson(document) as TransportChange & { name: string }
        return [name, change]
      }),
    )
  }

  async #apply(changes: ReadonlyMap<string, TransportChange>): Promise<void> {
    const text = JSON.stringify([...changes])
    if (text === this.#applied) return
    await this.#manager.change(changes)
    this.#applied = text
  }
}
