import type { HeldReason, Mailer } from '../../index.js'
import { type GridTotals, MessageGrid } from './messageGrid.js'

/** A template of the load test: a receipt in MJML, or a welcome mail in React Email with Tailwind. */
export type TemplateName = 'receipt' | 'welcome'

/** One way to send a number of messages. */
interface Way {
  messages: number
  template: TemplateName
  subject: string
  /** Through a mailer with worker threads, or in the web process. */
  threaded: boolean
}

const RECEIPTS = { messages: 500, template: 'receipt', subject: 'Your receipt' } as const
const WELCOMES = { messages: 100, template: 'welcome', subject: 'Welcome' } as const

/**
 * The ways to send that the start page compares. Receipts: through the mailer; inline with MJML for each message; inline with
 * a template that is compiled once. Welcome mails in React Email with Tailwind: through a mailer, and inline.
 */
export const WAYS = {
  threads: { ...RECEIPTS, threaded: true },
  inline: { ...RECEIPTS, threaded: false },
  compiled: { ...RECEIPTS, threaded: false },
  'react-threads': { ...WELCOMES, threaded: true },
  'react-inline': { ...WELCOMES, threaded: false },
} as const satisfies Record<string, Way>
export type WayName = keyof typeof WAYS

export function isWay(name: unknown): name is WayName {
  return typeof name === 'string' && Object.hasOwn(WAYS, name)
}

/** The result of a finished run. */
export interface RunResult {
  number: number
  way: WayName
  messages: number
  failed: number
  /** Until the last message was settled, with the loading of MJML or React. */
  seconds: number
  /** Maximum delay of the event loop in milliseconds: of the whole run, and while messages were sent. */
  delay: { max: number; sending: number }
  /** 99th percentile of the latency of requests to the web process during the run, in milliseconds. */
  httpP99: number
  /** The loading of MJML or React, and the start of threads for React, if it happened in this run. */
  loading?: { seconds: number; delay: number }
  /** Why the result can't be compared with others, as parts of a sentence. Empty for a clean run. */
  disturbed: string[]
}

/** Domain of all recipients. */
export const DOMAIN = 'receipts.example'

/** Without progress for this long, in milliseconds, a run looks for a reason. */
const STALLED = 1_000

const WHY_HELD: Record<HeldReason, string> = {
  breaker: 'its transport is not working',
  budget: 'a limit of its transport is reached, such as its rate',
  paused: 'sending is paused',
  setup: 'the worker threads keep crashing',
  uncertain: 'it may already have been sent',
}

/** One run of the load test. */
export class DemoRun {
  readonly grid: MessageGrid
  startedAt = performance.now()
  /** Numbers of the threads that were killed. */
  readonly killed: number[] = []
  result: RunResult | undefined
  /** Set once every message is settled, while the result is completed. */
  ending = false
  loading: RunResult['loading']
  /** Ids of the messages that a mailer accepted. */
  readonly ids: (string | undefined)[] = []
  readonly #disturbances = new Set<string>()
  readonly #halfway: (() => void)[] = []
  #held: HeldReason | undefined
  #lastProgress = performance.now()

  constructor(
    readonly number: number,
    readonly way: WayName,
  ) {
    this.grid = new MessageGrid(WAYS[way].messages)
  }

  get messages(): number {
    return WAYS[this.way].messages
  }

  /** Returns the message's own address, which identifies its mail in the inbox. */
  addressOf(index: number): string {
    return `run-${this.number}.order-${index + 1}@${DOMAIN}`
  }

  indexOf(address = ''): number | undefined {
    const [, run, order] = /^run-(\d+)\.order-(\d+)@receipts\.example$/.exec(address) ?? []
    return Number(run) === this.number ? Number(order) - 1 : undefined
  }

  /** Calls the function once half of the messages are settled. */
  atHalf(run: () => void): void {
    this.#halfway.push(run)
    this.progress()
  }

  /** To be called when a message has changed. */
  progress(): void {
    this.#lastProgress = performance.now()
    if (this.grid.unsettled * 2 > this.messages) return
    for (const run of this.#halfway.splice(0)) run()
  }

  /**
   * Finds out whether the queued messages of a stalled run are held. A paused queue holds each message without an event of its
   * own.
   */
  async lookForHeld(mailer: Mailer): Promise<void> {
    const waiting = this.grid.indicesOf('queued')
    const id = this.ids[waiting[0] ?? -1]
    if (id === undefined || performance.now() - this.#lastProgress < STALLED) return
    this.progress()
    const message = await mailer.find(id)
    if (message?.status !== 'held') return
    this.hold(message.heldReason ?? 'paused')
    for (const index of this.grid.indicesOf('queued')) this.grid.setStatus(index, 'held')
  }

  disturb(how: string): void {
    this.#disturbances.add(how)
  }

  get disturbed(): string[] {
    return [...this.#disturbances]
  }

  hold(reason: HeldReason): void {
    this.#held = reason
    this.disturb('messages were held')
  }

  /** Why messages are held, as part of a sentence; undefined if none is. */
  whyHeld({ statuses }: GridTotals): string | undefined {
    return statuses.held === 0 || this.#held === undefined ? undefined : WHY_HELD[this.#held]
  }
}
