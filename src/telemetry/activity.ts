import { parseJson } from '../protocol/parseJson.js'
import type { QueueDriver, QueueStats } from '../queue/driver.js'
import { type RecordRange, rangeOf, type SharedRecord } from '../queue/records.js'
import { quantile } from '../structures/histogram.js'
import type { PhaseCounts, ThreadStatus } from '../threads/runner.js'
import type { TransportStatus } from '../transports/breaker.js'
import type { Alert, ReportedShare } from './alerts.js'
import { countSettled, type FigureGroup, type FigureNumbers, type Figures, figuresOf } from './figures.js'
import type { SettledStatus } from './metrics.js'

/** Why mail is held with the reason `setup`: worker threads crash repeatedly, and no message causes it. */
export interface SetupStatus {
  /** When the outage began: ISO 8601. */
  since: string
  /** Why the last thread crashed, as one sentence. */
  message: string
  /** Number of consecutive crashes. */
  deaths: number
  /** When the next thread is started: ISO 8601. The delay doubles each time, up to a minute. */
  retryAt: string
}

/** A process on the queue, as it described itself. */
export interface ProcessStatus {
  id: string
  host: string
  pid: number
  /** Version of threadpost. */
  version: string
  /** Version of Node.js. */
  node: string
  role: 'both' | 'send' | 'deliver'
  /** ISO 8601. */
  startedAt: string
  threads: ThreadStatus[]
  /** Its deliveries and renders by phase. */
  phases: PhaseCounts
  transports: TransportStatus[]
  /** Worker threads that died and were replaced. */
  threadRestarts: number
  /** Whether safe mode is on: mail to recipients that are not allowed is redirected. */
  safeMode: boolean
  /** Why it sends nothing, if its worker threads crash repeatedly. */
  setup?: SetupStatus
  /** The alerts that it has raised. */
  alerts: Alert[]
}

/** A process, and when it was last heard of. */
export interface ProcessActivity extends ProcessStatus {
  /** Milliseconds since its last sign of life. */
  silentFor: number
  /** Whether it has been silent for so long that it must have died. It is listed for another hour. */
  gone: boolean
}

/** The figures of a period. */
export interface PeriodFigures extends Figures {
  /** Start of the period: ISO 8601. */
  since: string
}

/** The figures of one template, transport, or domain of recipients. Of a domain, only its recipients and their reports are counted. */
export interface GroupFigures extends PeriodFigures {
  /** Of a domain: as lowercase A-labels; '' for all domains beyond the first 100 that a process meets in an hour. */
  name: string
}

/** The state of a queue and of all processes on it: every process reports the same. */
export interface Activity {
  /** ISO 8601. */
  at: string
  queue: QueueStats
  /** Whether the queue finds text with an index, or by reading its messages from the newest on. */
  search: QueueDriver['search']
  processes: ProcessActivity[]
  /** The alerts that are raised at present, in any process. */
  alerts: Alert[]
  /** Messages per second in the last 10 to 20 s. */
  rate: { accepted: number; settled: number }
  /** The last five minutes. */
  recent: PeriodFigures
  /** The last 24 hours, up to the full hour. */
  day: PeriodFigures
}

/** A moment in the history of the queue. */
export interface HistoryPoint {
  /** Milliseconds since the epoch: the start of the period. */
  at: number
  /** Length of the period in seconds: 10 or 60; less for the present one. */
  seconds: number
  /** Messages per second. */
  accepted: number
  settled: number
  /** Share of the settled messages that were sent to all recipients, 0 to 1; null if none was settled. */
  success: number | null
  /** Latency in milliseconds, from acceptance to settlement; null if no message was settled. */
  p50: number | null
  p95: number | null
  p99: number | null
  /** Maximum number of messages that were not settled. */
  depth: number
  /** Maximum event loop delay at p99 of any process, in ms; null if none measured it. */
  loop: number | null
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Periods for which figures are kept: prefix of the keys, length, and for how long. */
export const PERIODS = {
  fine: { prefix: 'w:s:', length: 10 * SECOND, keep: HOUR },
  coarse: { prefix: 'w:m:', length: MINUTE, keep: DAY },
  hour: { prefix: 'w:h:', length: HOUR, keep: DAY },
} as const
type Period = (typeof PERIODS)[keyof typeof PERIODS]

/** Prefix of the keys of processes. */
export const PROCESS_PREFIX = 'p:'
/** Milliseconds between two signs of life of an idle process, at most. */
export const HEARTBEAT = 10 * SECOND
/** Milliseconds of silence after which a process is gone. */
const GONE_AFTER = 22 * SECOND
const RECENT = 5 * MINUTE
/** Statuses that count as settled for rates: an operator cancels a message, no delivery does. */
const SETTLED_BY_DELIVERY = ['sent', 'partial', 'failed', 'expired'] as const satisfies SettledStatus[]

/** Returns the start of the period that a time is in. */
export function startOf({ length }: Period, time: number): number {
  return Math.floor(time / length) * length
}

export function periodKey({ prefix }: { prefix: string }, start: number): string {
  return `${prefix}${String(start).padStart(13, '0')}`
}

/** Returns the keys of all periods that end after a time. */
function periodsSince(period: Period, time: number): RecordRange {
  return { from: periodKey(period, startOf(period, time)), to: rangeOf(period.prefix).to }
}

function timeOf({ key }: SharedRecord): number {
  return Number(key.slice(-13))
}

/** Reads the state of the queue and of all processes on it. */
export async function readActivity(queue: QueueDriver, now: number): Promise<Activity> {
  const { fine, hour } = PERIODS
  const [stats, [processes = [], recent = [], hours = []]] = await Promise.all([
    queue.stats(),
    queue.records.read([
      rangeOf(PROCESS_PREFIX),
      periodsSince(fine, now - RECENT),
      periodsSince(hour, now - DAY + HOUR),
    ]),
  ])
  const all = processes.flatMap(processOf)
  return {
    at: new Date(now).toISOString(),
    queue: stats,
    search: queue.search,
    processes: all,
    alerts: all.flatMap(({ gone, alerts }) => (gone ? [] : alerts)),
    rate: rateOf(recent, now),
    recent: periodFigures(recent, startOf(fine, now - RECENT)),
    day: periodFigures(hours, startOf(hour, now - DAY + HOUR)),
  }
}

/** Reads the history from a time on: a point for each 10 s of the last hour, and for each minute of the 24 hours before. */
export async function readHistory(
  { records }: QueueDriver,
  now: number,
  since: number,
): Promise<HistoryPoint[]> {
  const { fine, coarse } = PERIODS
  const [minutes = [], seconds = []] = await records.read([
    ...(since < now - HOUR ? [periodsSince(coarse, Math.max(since, now - DAY))] : [NOTHING]),
    periodsSince(fine, Math.max(since, now - HOUR)),
  ])
  const from = startOf(coarse, now - HOUR)
  return [
    ...pointsOf(minutes, coarse, now).filter(({ at }) => at < from),
    ...pointsOf(seconds, fine, now).filter(({ at }) => at >= from),
  ]
}

/** Reads the figures of the last day for each template, transport, or domain. */
export async function readGroups(
  { records }: QueueDriver,
  now: number,
  by: FigureGroup,
): Promise<GroupFigures[]> {
  const prefix = groupPrefix(by)
  const since = startOf(PERIODS.hour, now - DAY + HOUR)
  const [found = []] = await records.read([rangeOf(prefix)])
  const groups = new Map<string, SharedRecord[]>()
  for (const record of found.filter((record) => timeOf(record) >= since)) {
    const name = decodeURIComponent(record.key.slice(prefix.length, record.key.lastIndexOf(':')))
    groups.set(name, [...(groups.get(name) ?? []), record])
  }
  return [...groups].map(([name, hours]) => ({ name, ...periodFigures(hours, since) }))
}

/** Reads what the transports sent within the last day, and what was reported of it. */
export async function readReported(queue: QueueDriver, now: number): Promise<ReportedShare[]> {
  const groups = await readGroups(queue, now, 'transport')
  return groups.map((figures) => ({
    transport: figures.name,
    sent: countSettled(figures, ['sent', 'partial']),
    bounced: figures.reported.bounced,
    complained: figures.reported.complained,
  }))
}

/** Prefix of the keys of the hours of all templates, transports, or domains, or of one of them. */
export function groupPrefix(by: FigureGroup, name?: string): string {
  return `w:${by}:${name === undefined ? '' : `${encodeURIComponent(name)}:`}`
}

const NOTHING: RecordRange = { from: '', to: '' }

function pointsOf(records: readonly SharedRecord[], { length }: Period, now: number): HistoryPoint[] {
  return records.map((record) => {
    const at = timeOf(record)
    // The present period has only lasted until now.
    const elapsed = Math.max(SECOND, Math.min(length, now - at))
    return pointOf(at, elapsed / SECOND, record.numbers)
  })
}

function pointOf(at: number, seconds: number, numbers: FigureNumbers): HistoryPoint {
  const figures = figuresOf([numbers])
  const settled = countSettled(figures, SETTLED_BY_DELIVERY)
  return {
    at,
    seconds,
    accepted: figures.accepted / seconds,
    settled: settled / seconds,
    success: settled === 0 ? null : countSettled(figures, ['sent']) / settled,
    p50: quantile(figures.latency, 0.5),
    p95: quantile(figures.latency, 0.95),
    p99: quantile(figures.latency, 0.99),
    depth: numbers['depth'] ?? 0,
    loop: numbers['loop'] ?? null,
  }
}

function processOf({ age, document }: SharedRecord): ProcessActivity[] {
  if (document === undefined) return []
  const status = parseJson(document) as ProcessStatus
  return [{ ...status, silentFor: age, gone: age > GONE_AFTER }]
}

function periodFigures(records: readonly SharedRecord[], since: number): PeriodFigures {
  return { since: new Date(since).toISOString(), ...figuresOf(records.map(({ numbers }) => numbers)) }
}

/** The rate over the current period and the one before it: a period that has just begun says nothing. */
function rateOf(records: readonly SharedRecord[], now: number): Activity['rate'] {
  const { fine } = PERIODS
  const from = startOf(fine, now) - fine.length
  const figures = figuresOf(records.filter((record) => timeOf(record) >= from).map(({ numbers }) => numbers))
  const seconds = (now - from) / SECOND
  return {
    accepted: figures.accepted / seconds,
    settled: countSettled(figures, SETTLED_BY_DELIVERY) / seconds,
  }
}
