import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import type { Inbox } from '../../inbox/inbox.js'
import type { RawMail } from '../../inbox/store.js'
import { type Mailer, type MessageEvent, ThreadpostError } from '../../index.js'
import { type CellStatus, MessageGrid } from './messageGrid.js'
import { LoopDelayMonitor } from './loopDelayMonitor.js'

/** Sends in the main thread, MJML for each mail: for comparison. */
export interface InlineSender {
  send(mail: { to: string; subject: string; data: object }): Promise<void>
  close(): void
}

/** What the start page is given beside the mailer where it may show what happens under load. */
export interface DemoEnvironment {
  /** The folder of the template `receipt` and its sample data. */
  templates: string
  inlineSender(order: {
    templates: string
    template: string
    transport: string
    from: string
  }): Promise<InlineSender>
  endThread(): number | undefined
}

export const WAYS = ['threads', 'inline'] as const
export type Way = (typeof WAYS)[number]

/** What a finished run came to. */
export interface RunResult {
  way: Way
  messages: number
  seconds: number
  /** The longest delay of the event loop, and what 99 of 100 looks stayed below, in ms. */
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
/** Mails handed to the mailer in one turn of the event loop. */
const HANDFUL = 10
/** Mails an app that sends inline has under way at a time. */
const INLINE_AT_ONCE = 10
/** Lost replies that one press of the button brings about. */
const DROPS = 3

const FATE_OF = {
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
const EVENTS = Object.keys(FATE_OF) as (keyof typeof FATE_OF)[]

/** Five hundred receipts to the embedded inbox, one run at a time, and what becomes of each. */
export class Demo {
  static readonly messages = 500
  readonly delay = new LoopDelayMonitor()
  readonly #mailer: Mailer
  readonly #inbox: Inbox
  readonly #stage: DemoEnvironment
  #run: Run | undefined
  #runs = 0
  #closed = false

  constructor(mailer: Mailer, inbox: Inbox, stage: DemoEnvironment) {
    this.#mailer = mailer
    this.#inbox = inbox
    this.#stage = stage
    for (const name of EVENTS) mailer.on(name, this.#changed)
    inbox.on('received', this.#arrived)
  }

  get run(): Readonly<Run> | undefined {
    return this.#run
  }

  /** @throws ThreadpostError `CONFLICT` while another run goes on */
  start(way: Way): void {
    if (this.#run !== undefined && this.#run.result === undefined)
      throw new ThreadpostError('CONFLICT', 'One run at a time: wait until this one has ended.')
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

  /** @throws ThreadpostError `CONFLICT` where there is no thread at the moment */
  killThread(): number {
    const thread = this.#stage.endThread()
    if (thread === undefined)
      throw new ThreadpostError('CONFLICT', 'There is no thread at the moment: the new one is starting.')
    return thread
  }

  /** The next few messages arrive, and their sender hears no more of it. */
  loseReplies(): void {
    const rest = this.#inbox.faults.list().filter(({ to }) => to !== `*@${DOMAIN}`)
    this.#inbox.faults.set([...rest, { at: 'dot', do: 'close-after', to: `*@${DOMAIN}`, times: DROPS }])
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
    this.#begin(run)
    for (let first = 0; first < Demo.messages && !this.#closed; first += HANDFUL) {
      const indices = Array.from({ length: HANDFUL }, (_, offset) => first + offset)
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
      // Requests have their turn in between, as they would in an app.
      await setImmediate()
    }
  }

  async #inline(run: Run): Promise<void> {
    const sender = await this.#stage.inlineSender({
      templates: this.#stage.templates,
      template: TEMPLATE,
      transport: this.#inbox.url,
      from: 'Threadpost <hello@threadpost.example>',
    })
    const data = await this.#sampleData()
    this.#begin(run)
    let next = 0
    const worker = async () => {
      while (next < Demo.messages && !this.#closed) {
        const index = next++
        run.grid.setStatus(index, 'sending')
        try {
          await sender.send({ to: addressOf(run, index), subject: 'Your receipt', data: dataOf(data, index) })
          run.grid.setStatus(index, 'sent')
        } catch {
          // As in an app without a queue: the error is logged, at best.
          run.grid.setStatus(index, 'failed')
        }
        this.#finishIfSettled(run)
      }
    }
    await Promise.all(Array.from({ length: INLINE_AT_ONCE }, worker))
    sender.close()
  }

  /** What was read and loaded for it is not held against either way. */
  #begin(run: Run): void {
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
    run.grid.setStatus(index, FATE_OF[status])
    this.#finishIfSettled(run)
  }

  readonly #arrived = ({ envelope }: RawMail): void => {
    const index = this.#run === undefined ? undefined : indexOf(this.#run, envelope.to[0])
    if (index !== undefined) this.#run?.grid.recordArrival(index)
  }

  async #sampleData(): Promise<object> {
    const text = await readFile(path.join(this.#stage.templates, `${TEMPLATE}.json`), 'utf8')
    return JSON.parse(text) as object
  }
}

/** Each message has an address of its own, so that its mail is known when it arrives. */
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
