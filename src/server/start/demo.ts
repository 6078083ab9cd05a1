import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Inbox } from '../../inbox/inbox.js'
import type { RawMail } from '../../inbox/mailStore.js'
import { type Mailer, type MessageEvent, ThreadpostError } from '../../index.js'
import { LoopDelayMonitor } from './loopDelayMonitor.js'
import { type CellStatus, MessageGrid } from './messageGrid.js'

/** Sends in the main thread, with MJML for each message, for comparison. */
export interface InlineSender {
  send(mail: { to: string; subject: string; data: object }): Promise<void>
  close(): void
}

/** Dependencies of the load test on the start page, in addition to the mailer. */
export interface DemoEnvironment {
  /** Folder of the template `receipt` and its sample data. */
  templates: string
  inlineSender(options: {
    templates: string
    template: string
    transport: string
    from: string
  }): Promise<InlineSender>
  /** Ends a worker thread and returns its number; undefined if there is none. */
  endThread(): number | undefined
}

export const WAYS = ['threads', 'inline'] as const
export type Way = (typeof WAYS)[number]

/** Result of a finished run. */
export interface RunResult {
  way: Way
  messages: number
  seconds: number
  /** Maximum and 99th percentile of the event loop's delay, in milliseconds. */
  delay: { max: number; p99: number }
}

interface Run {
  number: number
  way: Way
  grid: MessageGrid
  startedAt: number
  result?: RunResult
}

const TEMPLATE = 'receipt'
const DOMAIN = 'receipts.example'
/** Messages submitted to the mailer in one turn of the event loop. */
const BATCH = 10
/** Messages that the inline run sends at a time. */
const INLINE_CONCURRENCY = 10
/** Replies that one press of the button loses. */
const LOST_REPLIES = 3

const CELL_STATUS_OF = {
  queued: 'queued',
  sending: 'sending',
  deferred: 'deferred',
  held: 'deferred',
  sent: 'sent',
  partial: 'sent',
  failed: 'failed',
  expired: 'failed',
  cancelled: 'failed',
} as const satisfies Partial<Record<string, CellStatus>>
const EVENTS = Object.keys(CELL_STATUS_OF) as (keyof typeof CELL_STATUS_OF)[]

/** The load test: sends five hundred receipts to the embedded inbox, one run at a time, and tracks each message. */
export class Demo {
  static readonly messages = 500
  readonly delay = new LoopDelayMonitor()
  readonly #mailer: Mailer
  readonly #inbox: Inbox
  readonly #environment: DemoEnvironment
  #run: Run | undefined
  #runs = 0
  #closed = false

  constructor(mailer: Mailer, inbox: Inbox, environment: DemoEnvironment) {
    this.#mailer = mailer
    this.#inbox = inbox
    this.#environment = environment
    for (const name of EVENTS) mailer.on(name, this.#changed)
    inbox.on('received', this.#arrived)
  }

  get run(): Readonly<Run> | undefined {
    return this.#run
  }

  /** @throws ThreadpostError `CONFLICT` during another run */
  start(way: Way): void {
    if (this.#run !== undefined && this.#run.result === undefined)
      throw new ThreadpostError('CONFLICT', 'A run is in progress: wait until it ends.')
    const run: Run = {
      number: ++this.#runs,
      way,
      grid: new MessageGrid(Demo.messages),
      startedAt: performance.now(),
    }
    this.#run = run
    const sending = way === 'threads' ? this.#throughThreads(run) : this.#inline(run)
    sending.catch((error: unknown) => {
      for (let index = 0; index < Demo.messages; index++) run.grid.setStatus(index, 'failed')
      this.#finishIfSettled(run)
      process.emitWarning(`The start page's run failed: ${String(error)}`, 'ThreadpostWarning')
    })
  }

  /**
   * Ends a worker thread and returns its number.
   * @throws ThreadpostError `CONFLICT` if no thread is running
   */
  killThread(): number {
    const thread = this.#environment.endThread()
    if (thread === undefined)
      throw new ThreadpostError('CONFLICT', 'No thread is running: the new one is starting.')
    return thread
  }

  /** Makes the inbox accept the next few messages and close the connection without a reply. */
  loseReplies(): void {
    const rest = this.#inbox.faults.list().filter(({ to }) => to !== `*@${DOMAIN}`)
    this.#inbox.faults.set([
      ...rest,
      { at: 'dot', do: 'close-after', to: `*@${DOMAIN}`, times: LOST_REPLIES },
    ])
  }

  close(): void {
    this.#closed = true
    this.delay.endRun()
    this.delay.stop()
    for (const name of EVENTS) this.#mailer.off(name, this.#changed)
    this.#inbox.off('received', this.#arrived)
  }

  async #throughThreads(run: Run): Promise<void> {
    const data = await this.#sampleData()
    this.#startClock(run)
    for (let first = 0; first < Demo.messages && !this.#closed; first += BATCH) {
      const indices = Array.from({ length: BATCH }, (_, offset) => first + offset)
      const receipts = await this.#mailer.sendMany(
        indices.map((index) => ({
          template: TEMPLATE,
          to: addressOf(run, index),
          data: dataOf(data, index),
        })),
      )
      receipts.forEach((receipt, offset) => {
        if (receipt instanceof ThreadpostError) run.grid.setStatus(first + offset, 'failed')
      })
      this.#finishIfSettled(run)
      // Lets the event loop handle requests in between, as in an application.
      await setImmediate()
    }
  }

  async #inline(run: Run): Promise<void> {
    const sender = await this.#environment.inlineSender({
      templates: this.#environment.templates,
      template: TEMPLATE,
      transport: this.#inbox.url,
      from: 'Threadpost <hello@threadpost.example>',
    })
    const data = await this.#sampleData()
    this.#startClock(run)
    let next = 0
    const worker = async () => {
      while (next < Demo.messages && !this.#closed) {
        const index = next++
        run.grid.setStatus(index, 'sending')
        try {
          await sender.send({ to: addressOf(run, index), subject: 'Your receipt', data: dataOf(data, index) })
          run.grid.setStatus(index, 'sent')
        } catch {
          // An application without a queue would log the error, at best.
          run.grid.setStatus(index, 'failed')
        }
        this.#finishIfSettled(run)
      }
    }
    await Promise.all(Array.from({ length: INLINE_CONCURRENCY }, worker))
    sender.close()
  }

  /** Starts the clock of a run, after files and modules were loaded. */
  #startClock(run: Run): void {
    run.startedAt = performance.now()
    this.delay.startRun()
  }

  #finishIfSettled(run: Run): void {
    if (!run.grid.settled || run.result !== undefined) return
    run.result = {
      way: run.way,
      messages: Demo.messages,
      seconds: (performance.now() - run.startedAt) / 1000,
      delay: this.delay.endRun(),
    }
  }

  readonly #changed = ({ status, recipients, outcome }: MessageEvent): void => {
    const run = this.#run
    const index = run === undefined ? undefined : indexOf(run, recipients[0]?.address)
    if (run === undefined || index === undefined) return
    if (outcome?.result === 'uncertain') run.grid.markUncertain(index)
    run.grid.setStatus(index, CELL_STATUS_OF[status])
    this.#finishIfSettled(run)
  }

  readonly #arrived = ({ envelope }: RawMail): void => {
    const index = this.#run === undefined ? undefined : indexOf(this.#run, envelope.to[0])
    if (index !== undefined) this.#run?.grid.recordArrival(index)
  }

  async #sampleData(): Promise<object> {
    const text = await readFile(path.join(this.#environment.templates, `${TEMPLATE}.json`), 'utf8')
    return JSON.parse(text) as object
  }
}

/** Returns the message's own address, which identifies its mail in the inbox. */
function addressOf({ number }: Run, index: number): string {
  return `run-${number}.order-${index + 1}@${DOMAIN}`
}

function indexOf({ number }: Run, address = ''): number | undefined {
  const [, run, order] = /^run-(\d+)\.order-(\d+)@receipts\.example$/.exec(address) ?? []
  return Number(run) === number ? Number(order) - 1 : undefined
}

function dataOf(sample: object, index: number): object {
  return { ...sample, orderId: `NW-${10_001 + index}` }
}
