import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { type HistogramSnapshot, isSettled, type MailerStats, type QuotaUse, STATUSES } from '../index.js'
import type { Mailer } from '../mailer.js'
import { WEBHOOK_COUNTERS, WEBHOOK_GAUGES } from './webhookMetrics.js'

type Labels = Record<string, string>
/** A value for each set of labels. The set is empty for a metric without labels. */
export type Values = readonly (readonly [Labels, number])[]
type Snapshots = readonly (readonly [Labels, HistogramSnapshot])[]
type Read = () => Promise<MailerStats | undefined>

export interface MetricSpec<T> {
  name: string
  help: string
  /** Label names. Label values come from fixed sets, or number the threads and transports. */
  labels?: string[]
  values: (stats: MailerStats) => T
}

const UNSETTLED = STATUSES.filter((status) => !isSettled(status))

function quotaValues(transports: MailerStats['transports'], value: keyof QuotaUse): Values {
  return transports.flatMap(({ transport, quota }) =>
    (['hour', 'day'] as const).flatMap((window) => {
      const use = quota?.[window]
      return use === undefined ? [] : [[{ transport, window }, use[value]] as const]
    }),
  )
}

const GAUGES: MetricSpec<Values>[] = [
  {
    name: 'queue_messages',
    help: 'Unsettled messages by status.',
    labels: ['status'],
    values: (stats) => UNSETTLED.map((status) => [{ status }, stats[status]]),
  },
  {
    name: 'queue_oldest_seconds',
    help: 'Waiting time of the oldest due message.',
    values: ({ oldest }) => [[{}, oldest / 1000]],
  },
  {
    name: 'queue_paused',
    help: '1 while the queue is paused.',
    values: ({ paused }) => [[{}, Number(paused)]],
  },
  {
    name: 'deliveries',
    help: 'Deliveries and renders in progress by phase.',
    labels: ['phase'],
    values: ({ phases }) => Object.entries(phases).map(([phase, count]) => [{ phase }, count]),
  },
  {
    name: 'connections_open',
    help: 'Open SMTP connections.',
    values: ({ threads }) => [[{}, threads.reduce((sum, { connections }) => sum + connections, 0)]],
  },
  {
    name: 'thread_busy_ratio',
    help: 'Share of the last seconds in which the event loop of each worker thread was busy.',
    labels: ['thread'],
    // Labeled by position instead of id, because a replacement thread has a new id.
    values: ({ threads }) => threads.map(({ busy }, place) => [{ thread: String(place + 1) }, busy]),
  },
  {
    name: 'event_loop_delay_seconds',
    help: 'Event loop delay of the main thread in the last seconds.',
    labels: ['quantile'],
    values: ({ eventLoop: { p50, p99, max } }) => [
      [{ quantile: '0.5' }, p50 / 1000],
      [{ quantile: '0.99' }, p99 / 1000],
      [{ quantile: '1' }, max / 1000],
    ],
  },
  {
    name: 'breaker_open',
    help: '1 while a transport is unreachable and its messages are held.',
    labels: ['transport'],
    values: ({ transports }) =>
      transports.map(({ transport, breaker }) => [{ transport }, Number(breaker === 'open')]),
  },
  {
    name: 'quota_used',
    help: "Messages that count against a transport's quota or warm-up in this hour or day.",
    labels: ['transport', 'window'],
    values: ({ transports }) => quotaValues(transports, 'used'),
  },
  {
    name: 'quota_limit',
    help: 'Messages that a transport may send in this hour or day.',
    labels: ['transport', 'window'],
    values: ({ transports }) => quotaValues(transports, 'limit'),
  },
  {
    name: 'archive_failing',
    help: "1 while messages can't be written to the archive.",
    values: ({ archive }) => (archive === undefined ? [] : [[{}, Number(archive.failing)]]),
  },
  ...WEBHOOK_GAUGES,
]

const COUNTERS: MetricSpec<Values>[] = [
  {
    name: 'messages_accepted_total',
    help: 'Messages accepted by the queue since it was created.',
    values: ({ accepted }) => [[{}, accepted]],
  },
  {
    name: 'messages_settled_total',
    help: "Messages settled by this process, by status and the code of the last attempt's outcome.",
    labels: ['status', 'reason'],
    values: ({ settled }) => settled.map(({ status, reason, count }) => [{ status, reason }, count]),
  },
  {
    name: 'recipients_total',
    help: 'Recipients by what was reported of them after the next server accepted the message.',
    labels: ['state', 'transport', 'template'],
    values: ({ recipients }) =>
      recipients.map(({ state, transport, template = '', count }) => [{ state, transport, template }, count]),
  },
  {
    name: 'reports_unmatched_total',
    help: 'Delivery reports about no message that is kept.',
    values: ({ unmatchedReports }) => [[{}, unmatchedReports]],
  },
  {
    name: 'thread_restarts_total',
    help: 'Worker threads that crashed and were replaced.',
    values: ({ threadRestarts }) => [[{}, threadRestarts]],
  },
  {
    name: 'archived_messages_total',
    help: 'Sent messages by whether this process wrote them to the archive.',
    labels: ['result'],
    values: ({ archive }) =>
      archive === undefined
        ? []
        : [
            [{ result: 'stored' }, archive.stored],
            [{ result: 'failed' }, archive.failed],
          ],
  },
  ...WEBHOOK_COUNTERS,
]

const HISTOGRAMS: MetricSpec<Snapshots>[] = [
  {
    name: 'message_seconds',
    help: 'Time from acceptance, or from the due time of a message, to its settlement.',
    values: ({ latency }) => [[{}, inSeconds(latency)]],
  },
  {
    name: 'step_seconds',
    help: 'Duration of each step of the attempts that settled a message.',
    labels: ['step'],
    values: ({ timings }) =>
      Object.entries(timings).map(([step, snapshot]) => [{ step }, inSeconds(snapshot)]),
  },
  {
    name: 'commit_seconds',
    help: 'Duration of the commits of a queue on disk.',
    values: ({ commits }) => (commits === undefined ? [] : [[{}, inSeconds(commits.time)]]),
  },
  {
    name: 'commit_messages',
    help: 'Messages per commit of a queue on disk.',
    values: ({ commits }) => (commits === undefined ? [] : [[{}, commits.size]]),
  },
]

/** Adds all metrics of a mailer to the registry. Each scrape reads the statistics once for all metrics. */
export function registerMetrics(registry: Registry, prefix: string, stats: () => Promise<MailerStats>): void {
  const registers = [registry]
  let reading: Promise<MailerStats | undefined> | undefined
  // A failure to read the statistics must not affect the host's own metrics.
  const read: Read = () =>
    (reading ??= stats()
      .catch(() => undefined)
      .finally(() => {
        reading = undefined
      }))

  new Gauge({
    name: `${prefix}up`,
    help: '1 while the mailer responds; 0 if it is closed or its queue is unreachable.',
    registers,
    async collect() {
      this.set(Number((await read()) !== undefined))
    },
  })
  for (const [Metric, specs] of [
    [Gauge, GAUGES],
    [Counter, COUNTERS],
  ] as const)
    for (const { name, help, labels: labelNames = [], values } of specs)
      new Metric({
        name: prefix + name,
        help,
        labelNames,
        registers,
        async collect() {
          const now = await read()
          this.reset()
          // reset() sets a metric without labels to 0, and a closed mailer must not report 0.
          if (labelNames.length === 0) this.remove()
          // Every value starts from 0, so `inc` sets gauges and counters alike.
          for (const [labels, value] of now === undefined ? [] : values(now)) this.inc(labels, value)
        },
      })
  for (const { name, help, labels: labelNames = [], values } of HISTOGRAMS)
    new SnapshotHistogram({ name: prefix + name, help, labelNames, registers }, async () => {
      const now = await read()
      return now === undefined ? [] : values(now)
    })
}

interface Sample {
  metricName: string
  labels: Record<string, string | number>
  value: number
}

/** A histogram whose values are counted elsewhere. */
class SnapshotHistogram extends Histogram {
  readonly #config: { name: string; help: string }
  readonly #read: () => Promise<Snapshots>

  constructor(
    config: { name: string; help: string; labelNames: string[]; registers: Registry[] },
    read: () => Promise<Snapshots>,
  ) {
    super(config)
    this.#config = config
    this.#read = read
  }

  override async get(): ReturnType<Histogram['get']> {
    const { name, help } = this.#config
    const values = (await this.#read()).flatMap(([labels, snapshot]) => samplesOf(name, labels, snapshot))
    return { name, help, type: 'histogram', values, aggregator: 'sum' } as unknown as Awaited<
      ReturnType<Histogram['get']>
    >
  }

  /** prom-client calls this method to write the text format. */
  getForPromString(): ReturnType<Histogram['get']> {
    return this.get()
  }
}

function samplesOf(
  name: string,
  labels: Labels,
  { bounds, counts, sum, count }: HistogramSnapshot,
): Sample[] {
  let below = 0
  const buckets = bounds.map((le, index) => {
    below += counts[index] ?? 0
    return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below }
  })
  return [
    ...buckets,
    { metricName: `${name}_bucket`, labels: { le: '+Inf', ...labels }, value: count },
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: count },
  ]
}

function inSeconds({ bounds, counts, sum, count }: HistogramSnapshot): HistogramSnapshot {
  return { bounds: bounds.map((bound) => bound / 1000), counts, sum: sum / 1000, count }
}

export { Registry } from 'prom-client'

/** Options of {@link metricsRegistry}. */
export interface MetricsOptions {
  /** Prefix of the metric names. @default 'threadpost_' */
  prefix?: string
  /** Registry to add the metrics to. @default a new registry */
  registry?: Registry
}

/**
 * Provides all statistics of a mailer as prom-client metrics: accepted and settled messages, the queue, threads, event loop,
 * breakers, latencies and commits. The global registry is not used: two mailers have separate registries, or share one with
 * different prefixes. A closed mailer reports only `…_up 0`.
 *
 * To use a registry of your own: `await metricsRegistry(mailer, { registry: register })`.
 */
export async function metricsRegistry(mailer: Mailer, options: MetricsOptions = {}): Promise<Registry> {
  // Loaded on demand, because most processes have metrics of their own, or none.
  const { Registry, registerMetrics } = await import('./prometheus.js')
  const { prefix = 'threadpost_', registry = new Registry() } = options
  registerMetrics(registry, prefix, () => mailer.stats())
  return registry
}
