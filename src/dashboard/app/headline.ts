import type { Activity, Alert } from '../../index.js'
import { count, duration, plural } from './format.js'
import { type MergedTransport, transportsOf } from './transports.js'

/** The state that the headline is derived from. */
export type Condition = Pick<Activity, 'queue' | 'processes' | 'alerts' | 'recent' | 'day'>

/** `bad`: mail is not delivered; `warn`: needs attention; `good`: mail is delivered; `idle`: nothing to report. */
export type Tone = 'bad' | 'warn' | 'good' | 'idle'

export interface Headline {
  tone: Tone
  title: string
  /** One or more sentences with the numbers. */
  detail: string
}

/** Milliseconds after which a due message in the queue means that no process is sending. */
const STUCK_AFTER = 60_000

interface Facts {
  accepted: number
  paused: boolean
  alerts: readonly Alert[]
  /** Whether threads fail to start. */
  setup: boolean
  /** Whether a process is there that delivers. */
  delivering: boolean
  transports: readonly MergedTransport[]
  broken: number
  pausedTransports: number
  queued: number
  sending: number
  deferred: number
  held: number
  /** Messages that are not settled. */
  waiting: number
  oldest: number
  /** Of the last minutes: messages that were sent to all recipients, messages that were not, and attempts that sent nothing. */
  sent: number
  failed: number
  refused: number
  /** Of the last day. */
  failures: number
  successes: number
}

interface Rule {
  when: (facts: Facts) => boolean
  tone: Tone
  title: string
}

/** The first rule that applies gives the headline. The worst come first, so that the page never reports success while anything is wrong. */
const RULES = [
  { when: (it) => it.setup, tone: 'bad', title: 'Mail is not going out' },
  {
    when: (it) => it.broken > 0 && it.broken === it.transports.length,
    tone: 'bad',
    title: 'Mail is not going out',
  },
  { when: (it) => it.failed > 0 && it.sent === 0, tone: 'bad', title: 'Mail is failing' },
  { when: (it) => !it.delivering && it.waiting > 0, tone: 'bad', title: 'No worker is running' },
  { when: (it) => hasAlert(it, 'failures'), tone: 'bad', title: 'Mail is failing' },
  { when: (it) => hasAlert(it, 'threads', 'setup'), tone: 'bad', title: 'Worker threads are dying' },
  { when: (it) => hasAlert(it, 'queue'), tone: 'bad', title: 'The queue is nearly full' },
  { when: (it) => it.paused, tone: 'warn', title: 'Sending is paused' },
  { when: (it) => it.broken > 0 || hasAlert(it, 'breaker'), tone: 'bad', title: 'A transport is down' },
  { when: (it) => it.failed > 0, tone: 'bad', title: 'Some mail is failing' },
  {
    when: (it) => isDeferring(it) && it.sent === 0,
    tone: 'bad',
    title: 'Mail is being deferred',
  },
  { when: (it) => isDeferring(it), tone: 'warn', title: 'Some mail is deferred' },
  { when: (it) => it.pausedTransports > 0, tone: 'warn', title: 'A transport is paused' },
  { when: (it) => it.held > 0, tone: 'warn', title: 'Some mail is held' },
  { when: (it) => hasAlert(it, 'oldest'), tone: 'bad', title: 'Mail is waiting' },
  { when: (it) => it.oldest >= STUCK_AFTER && it.sent === 0, tone: 'bad', title: 'Mail is waiting' },
  { when: (it) => it.alerts.length > 0, tone: 'bad', title: 'An alert is raised' },
  {
    when: (it) => it.sending === 0 && it.queued > 0 && it.oldest === 0,
    tone: 'idle',
    title: 'Mail is scheduled',
  },
  { when: (it) => it.waiting > 0, tone: 'good', title: 'Mail is going out' },
  { when: (it) => it.accepted === 0, tone: 'idle', title: 'No mail yet' },
  { when: (it) => it.failures > 0 || it.successes === 0, tone: 'idle', title: 'Idle' },
  { when: () => true, tone: 'good', title: 'All mail sent' },
] as const satisfies readonly Rule[]

export type Title = (typeof RULES)[number]['title']

/** Sums up the state of the queue and of all processes on it in a few words. */
export function headlineOf(condition: Condition): Headline {
  const facts = factsOf(condition)
  const rule = RULES.find(({ when }) => when(facts))
  return { tone: rule?.tone ?? 'idle', title: rule?.title ?? '', detail: detailOf(facts) }
}

function hasAlert({ alerts }: Facts, ...rules: Alert['rule'][]): boolean {
  return alerts.some(({ rule }) => rules.includes(rule))
}

/** A message that waits for its next attempt, or attempts that sent nothing while messages are due. */
function isDeferring({ deferred, refused, sending, oldest }: Facts): boolean {
  return deferred > 0 || (refused > 0 && (sending > 0 || oldest > 0))
}

function factsOf({ queue, processes, alerts, recent, day }: Condition): Facts {
  const { accepted, paused, queued, sending, deferred, held, oldest } = queue
  const live = processes.filter(({ gone }) => !gone)
  const transports = transportsOf(processes)
  return {
    accepted,
    paused,
    alerts,
    setup: live.some(({ setup }) => setup !== undefined),
    delivering: live.some(({ role }) => role !== 'send'),
    transports,
    broken: transports.filter(({ breaker }) => breaker === 'open').length,
    pausedTransports: transports.filter(({ paused }) => paused === true).length,
    queued,
    sending,
    deferred,
    held,
    waiting: queued + sending + deferred + held,
    oldest,
    sent: settled(recent, ['sent']),
    failed: settled(recent, FAILED),
    refused: recent.attempts.reduce(
      (sum, { result, count: number }) =>
        result === 'deferred' || result === 'uncertain' ? sum + number : sum,
      0,
    ),
    failures: settled(day, FAILED),
    successes: settled(day, ['sent']),
  }
}

const FAILED = ['failed', 'partial', 'expired']

function settled({ settled }: Activity['day'], statuses: readonly string[]): number {
  return settled.reduce(
    (sum, { status, count: number }) => (statuses.includes(status) ? sum + number : sum),
    0,
  )
}

function detailOf(facts: Facts): string {
  const { accepted, broken, transports, waiting, deferred, held, oldest, failed, failures } = facts
  const age = oldest > 0 ? `, the oldest for ${duration(oldest)}` : ''
  return [
    waiting > 0
      ? `${plural(waiting, 'message')} waiting${age}.`
      : `${plural(accepted, 'message')} accepted, none waiting.`,
    deferred > 0 && `${count(deferred)} deferred after a failed attempt.`,
    held > 0 && `${count(held)} held.`,
    broken > 0 && `${count(broken)} of ${plural(transports.length, 'transport')} can’t be reached.`,
    failed > 0 && `${count(failed)} failed in the last 5 minutes.`,
    failed === 0 && failures > 0 && `${count(failures)} failed in the last 24 hours.`,
  ]
    .filter((sentence) => sentence !== false)
    .join(' ')
}
