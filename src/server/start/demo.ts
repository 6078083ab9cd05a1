import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Fault } from '../../inbox/faults.js'
import type { Inbox } from '../../inbox/inbox.js'
import type { RawMail } from '../../inbox/mailStore.js'
import { type Mailer, type MessageEvent, ThreadpostError } from '../../index.js'
import { DemoRun, DOMAIN, type RunResult, type Way } from './demoRun.js'
import { LoopDelayMonitor } from './loopDelayMonitor.js'
import type { CellStatus } from './messageGrid.js'

/** Sends in the main thread, for comparison. */
export interface InlineSender {
  send(mail: { to: string; subject: string; data: object }): Promise<void>
  close(): void
}

/** Dependencies of the load test on the start page, in addition to the mailer. */
export interface DemoEnvironment {
  /** Folder of the template `receipt` and its sample data. */
  templates: string
  /** Loads MJML into this process. */
  loadMjml(): Promise<void>
  inlineSender(options: {
    templates: string
    template: string
    compileOnce: boolean
    transport: string
    from: string
  }): Promise<InlineSender>
  /** Ends a worker thread and returns its number; undefined if there is none. */
  endThread(): number | undefined
}

/** The last results: of clean runs by way, and of a disturbed run. */
export type DemoResults = Partial<Record<Way | 'disturbed', RunResult>>

const TEMPLATE = 'receipt'
/** Messages submitted in one turn of the event loop. */
const BATCH = 10
/** Messages that an inline run sends at a time. */
const INLINE_CONCURRENCY = 10
/** Replies that one press of the button loses. */
const LOST_REPLIES = 3
/** Time that the inbox takes for its reply during a run, in milliseconds: no server on the internet replies at once. */
const REPLY_DELAY = 60

const CELL_STATUS_OF = {
  queued: 'queued',
  sending: 'sending',
  deferred: 'deferred',
  held: 'held',
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
  static readonly replyDelay = REPLY_DELAY
  readonly delay = new LoopDelayMonitor()
  readonly results: DemoResults = {}
  readonly #mailer: Mailer
  readonly #inbox: Inbox
  readonly #environment: DemoEnvironment
  #run: DemoRun | undefined
  #runs = 0
  #mjmlIsLoaded = false
  #closed = false

  constructor(mailer: Mailer, inbox: Inbox, environment: DemoEnvironment) {
    this.#mailer = mailer
    this.#inbox = inbox
    this.#environment = environment
    for (const name of EVENTS) mailer.on(name, this.#changed)
    inbox.on('received', this.#arrived)
  }

  get run(): Readonly<DemoRun> | undefined {
    return this.#run
  }

  /** @throws ThreadpostError `CONFLICT` during another run */
  start(way: Way): DemoRun {
    if (this.#runInProgress() !== undefined)
      throw new ThreadpostError('CONFLICT', 'A run is in progress. Wait until it ends.')
    const run = new DemoRun(++this.#runs, way, Demo.messages)
    this.#run = run
    const others = this.#otherFaults()
    if (others.length > 0) run.disturb('faults of the inbox were active')
    this.#inbox.faults.set([{ at: 'dot', do: 'delay', ms: REPLY_DELAY, to: `*@${DOMAIN}` }, ...others])
    this.delay.startRun()
    const sending = way === 'threads' ? this.#throughThreads(run) : this.#inline(run)
    sending.catch((error: unknown) => {
      if (this.#closed) return
      run.disturb('the run was aborted')
      for (let index = 0; index < Demo.messages; index++) run.grid.setStatus(index, 'failed')
      this.#onProgress(run)
      process.emitWarning(`The start page's run failed: ${String(error)}`, 'ThreadpostWarning')
    })
    return run
  }

  /**
   * Kills a worker thread in the middle of the run in progress. Without one, a run through threads is started first, and the
   * thread is killed once half of its messages are settled.
   * @returns the number of the thread, if it was killed at once
   * @throws ThreadpostError `CONFLICT` if no thread is running, or if the run in progress uses none
   */
  killThread(): number | undefined {
    const run = this.#runInProgress()
    if (run === undefined) {
      const started = this.start('threads')
      started.atHalf(() => this.#endThread(started))
      return undefined
    }
    if (run.way !== 'threads')
      throw new ThreadpostError(
        'CONFLICT',
        'The run in progress is inline and uses no worker. Wait until it ends.',
      )
    const thread = this.#endThread(run)
    if (thread === undefined)
      throw new ThreadpostError('CONFLICT', 'No worker is running at the moment: the new one is starting.')
    return thread
  }

  /**
   * Makes the inbox accept the next few messages and close the connection without a reply. Without a run in progress, one through
   * threads is started first, and the replies are lost once half of its messages are settled.
   */
  loseReplies(): void {
    const run = this.#runInProgress()
    if (run !== undefined) {
      this.#loseReplies(run)
      return
    }
    const started = this.start('threads')
    started.atHalf(() => this.#loseReplies(started))
  }

  /** Looks for what an event doesn't report. To be called now and then while a page is open. */
  refresh(): void {
    const looking = this.#runInProgress()?.lookForHeld(this.#mailer)
    looking?.catch((error: unknown) => {
      process.emitWarning(`The start page can't look up a message: ${String(error)}`, 'ThreadpostWarning')
    })
  }

  close(): void {
    this.#closed = true
    this.delay.unwatch()
    this.delay.stopRun()
    for (const name of EVENTS) this.#mailer.off(name, this.#changed)
    this.#inbox.off('received', this.#arrived)
  }

  #runInProgress(): DemoRun | undefined {
    return this.#run?.result === undefined ? this.#run : undefined
  }

  #endThread(run: DemoRun): number | undefined {
    const thread = this.#environment.endThread()
    if (thread === undefined) return undefined
    run.killed.push(thread)
    run.disturb('a worker was killed')
    return thread
  }

  #loseReplies(run: DemoRun): void {
    run.disturb('replies were lost')
    this.#inbox.faults.set([
      ...this.#inbox.faults.list(),
      { at: 'dot', do: 'close-after', to: `*@${DOMAIN}`, times: LOST_REPLIES },
    ])
  }

  /** The faults of the inbox that don't belong to the load test. */
  #otherFaults(): Fault[] {
    return this.#inbox.faults.list().filter(({ to }) => to !== `*@${DOMAIN}`)
  }

  async #throughThreads(run: DemoRun): Promise<void> {
    const data = await this.#sampleData()
    for (let first = 0; first < Demo.messages && !this.#closed; first += BATCH) {
      const indices = Array.from({ length: BATCH }, (_, offset) => first + offset)
      const receipts = await this.#mailer.sendMany(
        indices.map((index) => ({
          template: TEMPLATE,
          to: run.addressOf(index),
          data: dataOf(data, index),
        })),
      )
      receipts.forEach((receipt, offset) => {
        if (receipt instanceof ThreadpostError) run.grid.setStatus(first + offset, 'failed')
        else run.ids[first + offset] = receipt.id
      })
      this.#onProgress(run)
      // Lets the event loop handle requests in between, as in an application.
      await setImmediate()
    }
  }

  async #inline(run: DemoRun): Promise<void> {
    await this.#loadMjml(run)
    const sender = await this.#environment.inlineSender({
      templates: this.#environment.templates,
      template: TEMPLATE,
      compileOnce: run.way === 'compiled',
      transport: this.#inbox.url,
      from: 'Threadpost <hello@threadpost.example>',
    })
    const data = await this.#sampleData()
    let next = 0
    const worker = async () => {
      while (next < Demo.messages && !this.#closed) {
        const index = next++
        run.grid.setStatus(index, 'sending')
        try {
          await sender.send({ to: run.addressOf(index), subject: 'Your receipt', data: dataOf(data, index) })
          run.grid.setStatus(index, 'sent')
        } catch {
          // An application without a queue would log the error, at best.
          run.grid.setStatus(index, 'failed')
        }
        this.#onProgress(run)
      }
    }
    await Promise.all(Array.from({ length: INLINE_CONCURRENCY }, worker))
    sender.close()
  }

  /** Loads MJML as a part of the run, and measures that part. MJML stays loaded, so only the first inline run has it. */
  async #loadMjml(run: DemoRun): Promise<void> {
    if (this.#mjmlIsLoaded) return
    await this.#environment.loadMjml()
    const seconds = (performance.now() - run.startedAt) / 1000
    run.loading = { seconds, delay: await this.delay.endPhase() }
    this.#mjmlIsLoaded = true
  }

  #onProgress(run: DemoRun): void {
    run.progress()
    if (run.grid.unsettled > 0 || run.ending) return
    run.ending = true
    void this.#end(run, (performance.now() - run.startedAt) / 1000)
  }

  async #end(run: DemoRun, seconds: number): Promise<void> {
    const sending = await this.delay.endRun()
    this.#inbox.faults.set(this.#otherFaults())
    const { number, way, messages, loading, disturbed } = run
    run.result = {
      number,
      way,
      messages,
      failed: run.grid.totals().statuses.failed,
      seconds,
      delay: { max: Math.max(sending, loading?.delay ?? 0), sending },
      ...(loading === undefined ? {} : { loading }),
      disturbed,
    }
    this.results[disturbed.length === 0 ? way : 'disturbed'] = run.result
  }

  readonly #changed = ({ status, recipients, outcome, heldReason }: MessageEvent): void => {
    const run = this.#run
    const index = run?.indexOf(recipients[0]?.address)
    if (run === undefined || index === undefined) return
    if (outcome?.result === 'uncertain') run.grid.markUncertain(index)
    if (status === 'held' && heldReason !== undefined) run.hold(heldReason)
    run.grid.setStatus(index, CELL_STATUS_OF[status])
    this.#onProgress(run)
  }

  readonly #arrived = ({ envelope }: RawMail): void => {
    const index = this.#run?.indexOf(envelope.to[0])
    if (index !== undefined) this.#run?.grid.recordArrival(index)
  }

  async #sampleData(): Promise<object> {
    const text = await readFile(path.join(this.#environment.templates, `${TEMPLATE}.json`), 'utf8')
    return JSON.parse(text) as object
  }
}

function dataOf(sample: object, index: number): object {
  return { ...sample, orderId: `NW-${10_001 + index}` }
}
