import type { MailerStats } from '../../index.js'
import type { RecentCounts } from '../viewModels.js'
import { count, duration, plural } from './format.js'

/** The state that the headline is derived from. */
export interface Condition {
  stats: Pick<
    MailerStats,
    | 'accepted'
    | 'queued'
    | 'sending'
    | 'deferred'
    | 'held'
    | 'sent'
    | 'partial'
    | 'failed'
    | 'expired'
    | 'oldest'
    | 'paused'
    | 'settled'
    | 'setup'
    | 'transports'
  >
  recent: RecentCounts
}

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

interface Facts extends RecentCounts {
  accepted: number
  paused: boolean
  /** Whether threads fail to start. */
  setup: boolean
  transports: number
  broken: number
  queued: number
  sending: number
  deferred: number
  held: number
  /** Messages that are not settled. */
  waiting: number
  oldest: number
  /** Failed messages that the queue keeps, or that this process counted, whichever is more. */
  failures: number
  /** Sent messages that the queue keeps, or that this process counted, whichever is more. */
  successes: number
}

interface Rule {
  when: (facts: Facts) => boolean
  tone: Tone
  title: string
}

/** The first rule that applies gives the headline. The worst come first, so that the page never reports success while anything is wrong. */
const RULES: readonly Rule[] = [
  { when: (it) => it.setup, tone: 'bad', title: 'Mail is not going out' },
  { when: (it) => it.broken > 0 && it.broken === it.transports, tone: 'bad', title: 'Mail is not going out' },
  { when: (it) => it.failed > 0 && it.sent === 0, tone: 'bad', title: 'Mail is failing' },
  { when: (it) => it.paused, tone: 'warn', title: 'Sending is paused' },
  { when: (it) => it.broken > 0, tone: 'bad', title: 'A transport is down' },
  { when: (it) => it.failed > 0, tone: 'bad', title: 'Some mail is failing' },
  { when: (it) => it.deferred > 0 && it.sent === 0, tone: 'bad', title: 'Mail is being deferred' },
  { when: (it) => it.deferred > 0, tone: 'warn', title: 'Some mail is deferred' },
  { when: (it) => it.held > 0, tone: 'warn', title: 'Some mail is held' },
  { when: (it) => it.oldest >= STUCK_AFTER && it.sent === 0, tone: 'bad', title: 'Mail is waiting' },
  {
    when: (it) => it.sending === 0 && it.queued > 0 && it.oldest === 0,
    tone: 'idle',
    title: 'Mail is scheduled',
  },
  { when: (it) => it.waiting > 0, tone: 'good', title: 'Mail is going out' },
  { when: (it) => it.accepted === 0, tone: 'idle', title: 'No mail yet' },
  { when: (it) => it.failures > 0 || it.successes === 0, tone: 'idle', title: 'Idle' },
  { when: () => true, tone: 'good', title: 'All mail sent' },
]

/** Sums up the state of the mailer in a few words. */
export function headlineOf(condition: Condition): Headline {
  const facts = factsOf(condition)
  const rule = RULES.find(({ when }) => when(facts))
  return { tone: rule?.tone ?? 'idle', title: rule?.title ?? '', detail: detailOf(facts) }
}

function factsOf({ stats, recent }: Condition): Facts {
  const { accepted, paused, transports, queued, sending, deferred, held, oldest } = stats
  const settled = (matches: (status: string) => boolean) =>
    stats.settled.filter(({ status }) => matches(status)).reduce((sum, entry) => sum + entry.count, 0)
  return {
    ...recent,
    accepted,
    paused,
    setup: stats.setup !== undefined,
    transports: transports.length,
    broken: transports.filter(({ breaker }) => breaker === 'open').length,
    queued,
    sending,
    deferred,
    held,
    waiting: queued + sending + deferred + held,
    oldest,
    failures: Math.max(
      stats.failed + stats.partial + stats.expired,
      settled((status) => status === 'failed' || status === 'partial' || status === 'expired'),
    ),
    successes: Math.max(
      stats.sent,
      settled((status) => status === 'sent'),
    ),
  }
}

function detailOf({
  accepted,
  broken,
  transports,
  waiting,
  deferred,
  held,
  oldest,
  failures,
  failed,
}: Facts): string {
  const age = oldest > 0 ? `, the oldest for ${duration(oldest)}` : ''
  return [
    waiting > 0
      ? `${plural(waiting, 'message')} waiting${age}.`
      : `${plural(accepted, 'message')} accepted, none waiting.`,
    deferred > 0 && `${count(deferred)} deferred after a failed attempt.`,
    held > 0 && `${count(held)} held.`,
    broken > 0 && `${count(broken)} of ${plural(transports, 'transport')} can’t be reached.`,
    failures > 0 && `${count(failures)} failed${failed > 0 ? ', some in the last few minutes' : ''}.`,
  ]
    .filter((sentence) => sentence !== false)
    .join(' ')
}
