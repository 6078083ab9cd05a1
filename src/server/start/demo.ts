import { setImmediate } from 'node:timers/promises'
import type { Fault } from '../../inbox/faults.js'
import type { Inbox } from '../../inbox/inbox.js'
import type { RawMail } from '../../inbox/mailStore.js'
import { type Mailer, type MessageEvent, ThreadpostError } from '../../index.js'
import type { DemoEnvironment, HttpLoad, InlineSender } from './demoEnvironment.js'
import { DemoRun, DOMAIN, type RunResult, WAYS, type WayName } from './demoRun.js'
import { LoopDelayMonitor } from './loopDelayMonitor.js'
import { CELL_STATUS_OF, EVENTS } from './messageGrid.js'

/** The last results: of clean runs by way, and of a disturbed run. */
type DemoResults = Partial<Record<WayName | 'disturbed', RunResult>>

const FROM = 'Threadpost <hello@threadpost.example>'
/** Messages submitted in one turn of the event loop. */
const BATCH = 10
/** Messages that an inline run sends at a time. */
const INLINE_CONCURRENCY = 10
/** Replies that one press of the button loses. */
const LOST_REPLIES = 3
/** Time that the inbox takes for its reply during a run, in milliseconds: no server on the internet replies at once. */
const REPLY_DELAY = 60

/** Milliseconds that the mailer for React has to close. */
const CLOSE_DEADLINE = 500

/** The part of a run that happens once: loading MJML or React into the web process, and starting threads for React. */
type Loading = 'mjml' | 'react-inline' | 'react-threads'

/** The load test: sends receipts, or welcome mails, to the embedded inbox, one run at a time, and tracks each message. */
export class Demo {
  readonly replyDelay = REPLY_DELAY
  readonly hasReact: boolean
  readonly delay = new LoopDelayMonitor()
  readonly results: DemoResults = {}
  readonly #mailer: Mailer
  readonly #inbox: Inbox
  readonly #environment: DemoEnvironment
  #reactMailer: Promise<Mailer> | undefined
  #httpLoad: Promise<HttpLoad> | undefined
  #run: DemoRun | undefined
  #runs = 0
  readonly #loaded = new Set<Loading>()
  #closed = false

  constructor(mailer: Mailer, inbox: Inbox, environment: DemoEnvironment) {
    this.#mailer = mailer
    this.#inbox = inbox
    this.#environment = environment
    this.hasReact = environment.hasReact
    for (const name of EVENTS) mailer.on(name, this.#changed)
    inbox.on('received', this.#arrived)
  }

  get run(): Readonly<DemoRun> | undefined {
    return this.#run
  }

  /** @throws ThreadpostError `CONFLICT` during another run, `UNSUPPORTED` without the packages that the way needs */
  start(way: WayName): DemoRun {
    if (this.#runInProgress() !== undefined)
      throw new ThreadpostError('CONFLICT', 'A run is in progress. Wait until it ends.')
    if (WAYS[way].template === 'welcome' && !this.hasReact)
      throw new ThreadpostError('UNSUPPORTED', 'This run needs React Email, which is not installed here.')
    const run = new DemoRun(++this.#runs, way)
    this.#run = run
    const others = this.#otherFaults()
    if (others.length > 0) run.disturb('faults of the inbox were active')
    this.#inbox.faults.set([{ at: 'dot', do: 'delay', ms: REPLY_DELAY, to: `*@${DOMAIN}` }, ...others])
    this.#perform(run).catch((error: unknown) => {
      if (this.#closed) return
      run.disturb('the run was aborted')
      for (let index = 0; index < run.messages; index++) run.grid.setStatus(index, 'failed')
      this.#onProgress(run)
      process.emitWarning(`The start page's run failed: ${String(error)}`, 'ThreadpostWarning')
    })
    return run
  }

  /** The time begins once another process sends HTTP requests, which the first run starts. */
  async #perform(run: DemoRun): Promise<void> {
    this.#httpLoad ??= this.#environment.startHttpLoad()
    this.#httpLoad.catch(() => (this.#httpLoad = undefined))
    await (await this.#httpLoad).begin()
    run.startedAt = performance.now()
    this.delay.startRun()
    await (WAYS[run.way].threaded ? this.#throughThreads(run) : this.#inline(run))
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
        run.way === 'react-threads'
          ? 'The run in progress has workers of its own. Wait until it ends.'
          : 'The run in progress is inline and uses no worker. Wait until it ends.',
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
    const run = this.#runInProgress()
    const looking = run?.way === 'threads' ? run.lookForHeld(this.#mailer) : undefined
    looking?.catch((error: unknown) => {
      process.emitWarning(`The start page can't look up a message: ${String(error)}`, 'ThreadpostWarning')
    })
  }

  /** Resolves when everything is closed that the load test opened. */
  async close(): Promise<void> {
    this.#closed = true
    this.delay.unwatch()
    this.delay.stopRun()
    for (const name of EVENTS) this.#mailer.off(name, this.#changed)
    this.#inbox.off('received', this.#arrived)
    const closeHttp = this.#httpLoad?.then((load) => load.close())
    const closeMailer = this.#reactMailer?.then((mailer) => mailer.close({ deadline: CLOSE_DEADLINE }))
    await Promise.allSettled([closeHttp, closeMailer])
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
    const { template } = WAYS[run.way]
    const mailer =
      template === 'welcome'
        ? await this.#loadOnce(run, 'react-threads', () => this.#forReact())
        : this.#mailer
    const data = await this.#environment.sampleOf(template)
    for (let first = 0; first < run.messages && !this.#closed; first += BATCH) {
      const indices = Array.from({ length: BATCH }, (_, offset) => first + offset)
      const receipts = await mailer.sendMany(
        indices.map((index) => ({ template, to: run.addressOf(index), data: dataOf(data, index) })),
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

  /** Returns the mailer for the template in React. It stays open for further runs. */
  #forReact(): Promise<Mailer> {
    this.#reactMailer ??= this.#environment.reactMailer(this.#inbox.url, FROM).then((mailer) => {
      for (const name of EVENTS) mailer.on(name, this.#changed)
      return mailer
    })
    // The next run tries again.
    this.#reactMailer.catch(() => (this.#reactMailer = undefined))
    return this.#reactMailer
  }

  async #inline(run: DemoRun): Promise<void> {
    const { template, subject } = WAYS[run.way]
    const environment = this.#environment
    const open = (): Promise<InlineSender> =>
      environment.inlineSender({
        template,
        compileOnce: run.way === 'compiled',
        transport: this.#inbox.url,
        from: FROM,
      })
    if (template === 'receipt') await this.#loadOnce(run, 'mjml', () => environment.loadMjml())
    const sender = template === 'receipt' ? await open() : await this.#loadOnce(run, 'react-inline', open)
    const data = await environment.sampleOf(template)
    let next = 0
    const worker = async () => {
      while (next < run.messages && !this.#closed) {
        const index = next++
        run.grid.setStatus(index, 'sending')
        try {
          await sender.send({ to: run.addressOf(index), subject, data: dataOf(data, index) })
          run.grid.setStatus(index, 'sent')
        } catch {
          // An application without a queue would log the error, at best.
          run.grid.setStatus(index, 'failed')
        }
        this.#onProgress(run)
      }
    }
    await Promise.all(Array.from({ length: INLINE_CONCURRENCY }, worker))
    await sender.close()
  }

  /** Loads something as a part of the run, and measures that part if it is the first time. */
  async #loadOnce<T>(run: DemoRun, what: Loading, load: () => Promise<T>): Promise<T> {
    const loaded = await load()
    if (this.#loaded.has(what)) return loaded
    this.#loaded.add(what)
    const seconds = (performance.now() - run.startedAt) / 1000
    run.loading = { seconds, delay: await this.delay.endPhase() }
    return loaded
  }

  #onProgress(run: DemoRun): void {
    run.progress()
    if (run.grid.unsettled > 0 || run.ending) return
    run.ending = true
    void this.#end(run, (performance.now() - run.startedAt) / 1000)
  }

  async #end(run: DemoRun, seconds: number): Promise<void> {
    const [sending, latency] = await Promise.all([this.delay.endRun(), (await this.#httpLoad)?.end()])
    this.#inbox.faults.set(this.#otherFaults())
    const { number, way, messages, loading, disturbed } = run
    run.result = {
      number,
      way,
      messages,
      failed: run.grid.totals().statuses.failed,
      seconds,
      delay: { max: Math.max(sending, loading?.delay ?? 0), sending },
      httpP99: latency?.p99 ?? 0,
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
}

function dataOf(sample: object, index: number): object {
  return { ...sample, orderId: `NW-${10_001 + index}` }
}
