import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { type HistogramSnapshot, isSettled, type MailerStats, STATUSES } from '../index.js'
import type { Mailer } from '../mailer.js'

type Labels = Record<string, string>
/** A value for each set of labels; an empty set for a metric without. */
type Values = readonly (readonly [Labels, number])[]
type Snapshots = readonly (readonly [Labels, HistogramSnapshot])[]
type Read = () => Promise<MailerStats | undefined>

interface MetricSpec<T> {
  name: string
  help: string
  /** Names of its labels. Their values are from fixed sets, or count threads and transports. */
  labels?: string[]
  values: (stats: MailerStats) => T
}

const UNSETTLED = STATUSES.filter((status) => !isSettled(status))

const GAUGES: MetricSpec<Values>[] = [
  {
    name: 'queue_messages',
    help: 'Messages that are not settled, by status.',
    labels: ['status'],
    values: (stats) => UNSETTLED.map((status) => [{ status }, stats[status]]),
  },
  {
    name: 'queue_oldest_seconds',
    help: 'How long the longest-waiting due message has waited.',
    values: ({ oldest }) => [[{}, oldest / 1000]],
  },
  {
    name: 'queue_paused',
    help: '1 while nothing is handed out.',
    values: ({ paused }) => [[{}, Number(paused)]],
  },
  {
    name: 'deliveries',
    help: 'Deliveries and renders under way, by the phase they are in.',
    labels: ['phase'],
    values: ({ phases }) => Object.entries(phases).map(([phase, count]) => [{ phase }, count]),
  },
  {
    name: 'connections_open',
    help: 'SMTP connections that are open.',
    values: ({ threads }) => [[{}, threads.reduce((sum, { connections }) => sum + connections, 0)]],
  },
  {
    name: 'thread_busy_ratio',
    help: 'Share of the last seconds that the event loop of each thread was busy.',
    labels: ['thread'],
    // By place and not by id: a new thread has a new id.
    values: ({ threads }) => threads.map(({ busy }, place) => [{ thread: String(place + 1) }, busy]),
  },
  {
    name: 'event_loop_delay_seconds',
    help: 'Delay of the event loop of the main thread in the last seconds.',
    labels: ['quantile'],
    values: ({ eventLoop: { p50, p99, max } }) => [
      [{ quantile: '0.5' }, p50 / 1000],
      [{ quantile: '0.99' }, p99 / 1000],
      [{ quantile: '1' }, max / 1000],
    ],
  },
  {
    name: 'breaker_open',
    help: '1 while a transport is out of reach and its messages are held.',
    labels: ['transport'],
    values: ({ transports }) =>
      transports.map(({ transport, breaker }) => [{ transport }, Number(breaker === 'open')]),
  },
]

const COUNTERS: MetricSpec<Values>[] = [
  {
    name: 'messages_accepted_total',
    help: 'Messages ever accepted by the queue.',
    values: ({ accepted }) => [[{}, accepted]],
  },
  {
    name: 'messages_settled_total',
    help: "Messages that this process settled, by status and the code of the last attempt's outcome.",
    labels: ['status', 'reason'],
    values: ({ settled }) => settled.map(({ status, reason, count }) => [{ status, reason }, count]),
  },
  {
    name: 'thread_restarts_total',
    help: 'Threads that died and were replaced.',
    values: ({ threadRestarts }) => [[{}, threadRestarts]],
  },
]

const HISTOGRAMS: MetricSpec<Snapshots>[] = [
  {
    name: 'message_seconds',
    help: 'From acceptance, or from when a message was due, to its settlement.',
    values: ({ latency }) => [[{}, inSeconds(latency)]],
  },
  {
    name: 'step_seconds',
    help: 'Steps of the attempts that settled a message.',
    labels: ['step'],
    values: ({ timings }) =>
      Object.entries(timings).map(([step, snapshot]) => [{ step }, inSeconds(snapshot)]),
  },
  {
    name: 'commit_seconds',
    help: 'Commits of a queue on disk.',
    values: ({ commits }) => (commits === undefined ? [] : [[{}, inSeconds(commits.time)]]),
  },
  {
    name: 'commit_messages',
    help: 'Messages that one commit of a queue on disk is about.',
    values: ({ commits }) => (commits === undefined ? [] : [[{}, commits.size]]),
  },
]

/** Adds everything that is known of a mailer to the registry; read anew at each scrape, once for all metrics. */
export function registerMetrics(registry: Registry, prefix: string, stats: () => Promise<MailerStats>): void {
  const registers = [registry]
  let reading: Promise<MailerStats | undefined> | undefined
  // What can't be read takes none of the host's own metrics along.
  const read: Read = () =>
    (reading ??= stats()
      .catch(() => undefined)
      .finally(() => {
        reading = undefined
      }))

  new Gauge({
    name: `${prefix}up`,
    help: '1 while the mailer answers; 0 when it is closed or its queue is out of reach.',
    registers,
    async collect() {
      this.set(Number((await read()) !== undefined))
    },
  })
  for (const { name, help, labels: labelNames = [], values } of GAUGES)
    new Gauge({
      name: prefix + name,
      help,
      labelNames,
      registers,
      async collect() {
        const now = await read()
        this.reset()
        // To reset one without labels is to say 0.
        if (labelNames.length === 0) this.remove()
        for (const [labels, value] of now === undefined ? [] : values(now)) this.set(labels, value)
      },
    })
  for (const { name, help, labels: labelNames = [], values } of COUNTERS)
    new Counter({
      name: prefix + name,
      help,
      labelNames,
      registers,
      async collect() {
        const now = await read()
        this.reset()
        // To reset one without labels is to say 0.
        if (labelNames.length === 0) this.remove()
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

/** A histogram that is counted elsewhere. */
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

  /** What the text format is written from. */
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

export interface MetricsOptions {
  /** What the names begin with. @default 'threadpost_' */
  prefix?: string
  /** Where the metrics go. @default a registry of their own */
  registry?: Registry
}

/**
 * Everything that is known of a mailer as metrics of prom-client: accepted and settled messages, the queue, threads,
 * event loop, breakers, latencies and commits. Nothing global is touched: two mailers have two registries, or share one
 * with different prefixes. A mailer that is closed yields `…_up 0` and nothing else.
 *
 * With a registry of your own: `await metricsRegistry(mailer, { registry: register })`.
 */
export async function metricsRegistry(mailer: Mailer, options: MetricsOptions = {}): Promise<Registry> {
  // Loaded by who asks for it: most processes have metrics of their own, or none.
  const { Registry, registerMetrics } = await import('./prometheus.js')
  const { prefix = 'threadpost_', registry = new Registry() } = options
  registerMetrics(registry, prefix, () => mailer.stats())
  return registry
}
