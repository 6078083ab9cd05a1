import type { DeliveryState } from '../feedback/deliveryStates.js'
import { type Attempt, isOpen, isSettled, type RecipientState } from '../message/messageState.js'
import { domainKey } from '../protocol/addressForms.js'
import type { Outcome } from '../protocol/outcome.js'
import type { QueuedMessage } from '../queue/driver.js'
import type { HistogramSnapshot } from '../structures/histogram.js'
import { LATENCY_BOUNDS, type SettledCount, type SettledStatus, waitOf } from './metrics.js'

/** The number of attempts with one outcome. */
export interface AttemptCount {
  result: Outcome['result']
  code: Outcome['code']
  count: number
}

/** Figures of a period of time, over all processes on the queue. */
export interface Figures {
  accepted: number
  /** Settled messages by status and reason. */
  settled: SettledCount[]
  /** Attempts by outcome, whether or not they settled their message. */
  attempts: AttemptCount[]
  /** Recipients whose message the next server accepted, also of messages that are not settled. */
  sentRecipients: number
  /** Recipients by what was reported of them after the next server accepted the message. */
  reported: Record<DeliveryState, number>
  /** Milliseconds from acceptance, or from the time a message was due, to its settlement. Cancelled messages don't count. */
  latency: HistogramSnapshot
}

/** Numbers of a record by name: `accepted`, `settled|STATUS|REASON`, `attempt|RESULT|CODE`, `recipients`, `reported|STATE`, `latency|BUCKET`, `ms`. */
export type FigureNumbers = Record<string, number>

/** Figures are also kept for each template, each transport, and each domain of recipients. */
export const FIGURE_GROUPS = ['template', 'transport', 'domain'] as const
export type FigureGroup = (typeof FIGURE_GROUPS)[number]

/** The counts since the last {@link FigureCollector.take}. */
export interface CountedFigures {
  all: FigureNumbers
  groups: Record<FigureGroup, Map<string, FigureNumbers>>
}

/** Domains that a process counts apart in an hour. Anyone who may register can name new ones, and each is a record in the queue. */
const MAX_DOMAINS = 100
/** The name is part of a record's key. */
const MAX_NAME = 120
const HOUR = 60 * 60_000

/** The domains that are counted apart: the first of each hour. */
class CountedDomains {
  readonly #names = new Set<string>()
  #hour = 0

  /** Returns the name under which a recipient is counted; '' beyond the limit. */
  nameOf(address: string, now: number): string {
    const hour = Math.floor(now / HOUR)
    if (hour !== this.#hour) {
      this.#names.clear()
      this.#hour = hour
    }
    const name = domainKey(address).toWellFormed()
    if (this.#names.has(name)) return name
    if (this.#names.size >= MAX_DOMAINS || encodeURIComponent(name).length > MAX_NAME) return ''
    this.#names.add(name)
    return name
  }
}

/** Counts what this process accepts, tries and settles, until the next report. Each event costs a few additions. */
export class FigureCollector {
  readonly #domains = new CountedDomains()
  #counted = emptyFigures()
  #empty = true

  get empty(): boolean {
    return this.#empty
  }

  accepted(): void {
    this.#empty = false
    increase(this.#counted.all, 'accepted', 1)
  }

  /** Must be called after each change of status; ignores all but settlements. */
  changed(message: QueuedMessage): void {
    const { job, state, elsewhere } = message
    // Each settlement is counted once: by the process that made it.
    if (!isSettled(state.status) || elsewhere === true) return
    this.#empty = false
    const last = state.attempts.at(-1)
    const settled = `settled|${state.status}|${last?.outcome.code ?? 'NONE'}`
    const wait = state.status === 'cancelled' ? undefined : waitOf(message)
    for (const group of this.#groupsOf(job, last?.transport)) {
      increase(group, settled, 1)
      if (wait === undefined) continue
      increase(group, `latency|${bucketOf(wait)}`, 1)
      increase(group, 'ms', Math.round(wait))
    }
  }

  /** Must be called for each recipient of whom a new state was reported. */
  reported({ job, state }: QueuedMessage, recipient: string, reported: DeliveryState): void {
    this.#empty = false
    const groups = this.#groupsOf(job, state.attempts.at(-1)?.transport)
    for (const group of [...groups, this.#domainOf(recipient)]) increase(group, `reported|${reported}`, 1)
  }

  /**
   * Must be called after each attempt.
   * @param after the recipients after the attempt, in the order of those before
   */
  attempted(
    { job, state }: QueuedMessage,
    { transport, outcome: { result, code } }: Pick<Attempt, 'transport' | 'outcome'>,
    after: readonly RecipientState[],
  ): void {
    this.#empty = false
    increase(this.#counted.all, `attempt|${result}|${code}`, 1)
    let sent = 0
    state.recipients.forEach((before, index) => {
      if (!isOpen(before) || after[index]?.status !== 'sent') return
      sent++
      increase(this.#domainOf(before.address), 'recipients', 1)
    })
    if (sent > 0) for (const group of this.#groupsOf(job, transport)) increase(group, 'recipients', sent)
  }

  #groupsOf({ transport, content }: QueuedMessage['job'], used = transport): FigureNumbers[] {
    const { all, groups } = this.#counted
    const byTransport = groupOf(groups.transport, used)
    return content.kind === 'template'
      ? [all, byTransport, groupOf(groups.template, content.name)]
      : [all, byTransport]
  }

  #domainOf(address: string): FigureNumbers {
    return groupOf(this.#counted.groups.domain, this.#domains.nameOf(address, Date.now()))
  }

  /** Returns what was counted, and starts again from zero. */
  take(): CountedFigures {
    const counted = this.#counted
    this.#counted = emptyFigures()
    this.#empty = true
    return counted
  }

  /** Adds figures again that could not be stored. */
  giveBack({ all, groups }: CountedFigures): void {
    this.#empty = false
    addAll(this.#counted.all, all)
    for (const by of FIGURE_GROUPS)
      for (const [name, numbers] of groups[by]) addAll(groupOf(this.#counted.groups[by], name), numbers)
  }
}

/** Returns the sum of the numbers of several records as figures. */
export function figuresOf(records: readonly FigureNumbers[]): Figures {
  const sum: FigureNumbers = {}
  for (const numbers of records) addAll(sum, numbers)
  const figures: Figures = {
    accepted: sum['accepted'] ?? 0,
    settled: [],
    attempts: [],
    sentRecipients: sum['recipients'] ?? 0,
    reported: { delivered: 0, delayed: 0, bounced: 0, complained: 0, unsubscribed: 0 },
    latency: {
      bounds: LATENCY_BOUNDS,
      counts: new Array<number>(LATENCY_BOUNDS.length + 1).fill(0),
      sum: sum['ms'] ?? 0,
      count: 0,
    },
  }
  for (const [name, count] of Object.entries(sum)) {
    const [kind, first = '', second = ''] = name.split('|')
    if (kind === 'settled')
      figures.settled.push({
        status: first as SettledStatus,
        reason: second as SettledCount['reason'],
        count,
      })
    else if (kind === 'attempt')
      figures.attempts.push({ result: first as Outcome['result'], code: second as Outcome['code'], count })
    else if (kind === 'reported') figures.reported[first as DeliveryState] = count
    else if (kind === 'latency') {
      figures.latency.counts[Number(first)] = count
      figures.latency.count += count
    }
  }
  return figures
}

/** Returns the number of settled messages with one of these statuses. */
export function countSettled(
  { settled }: Pick<Figures, 'settled'>,
  statuses: readonly SettledStatus[],
): number {
  return settled.reduce((sum, { status, count }) => (statuses.includes(status) ? sum + count : sum), 0)
}

function emptyFigures(): CountedFigures {
  return { all: {}, groups: { template: new Map(), transport: new Map(), domain: new Map() } }
}

function groupOf(groups: Map<string, FigureNumbers>, name: string): FigureNumbers {
  let group = groups.get(name)
  if (group === undefined) groups.set(name, (group = {}))
  return group
}

function increase(numbers: FigureNumbers, name: string, amount: number): void {
  numbers[name] = (numbers[name] ?? 0) + amount
}

function addAll(sum: FigureNumbers, numbers: FigureNumbers): void {
  for (const [name, amount] of Object.entries(numbers)) increase(sum, name, amount)
}

function bucketOf(ms: number): number {
  const bucket = LATENCY_BOUNDS.findIndex((bound) => ms <= bound)
  return bucket < 0 ? LATENCY_BOUNDS.length : bucket
}
