import { useState } from 'preact/hooks'
import type { Activity, Alert } from '../../index.js'
import { Chart, type ChartProps } from './chart.js'
import { count, milliseconds, moment, short, Time } from './format.js'
import { headlineOf } from './headline.js'
import { useLive } from './liveState.js'
import { hrefOf } from './navigation.js'
import { Problem } from './notices.js'
import { Reasons, Transports } from './overviewPanels.js'
import { ReportedRates } from './reportedRates.js'
import { messageOf, post } from './request.js'
import { useMay } from './scopes.js'
import { STATUSES } from './status.js'
import { Workers } from './workersPanel.js'

/** The overview: whether mail is going out, and the numbers behind that. */
export function Overview() {
  const { tick } = useLive()
  if (tick === undefined) return <p class="empty">Loading…</p>
  const { activity } = tick
  const { title, detail, tone } = headlineOf(activity)
  return (
    <>
      <div class={`headline ${tone}`}>
        <div>
          <h1>{title}</h1>
          <p class="dim">{detail}</p>
        </div>
        <PauseButton paused={activity.queue.paused} />
      </div>
      <Alerts alerts={activity.alerts} />
      <Counts activity={activity} />
      <Charts activity={activity} />
      <Workers processes={activity.processes} />
      <div class="columns">
        <Transports activity={activity} />
        <Reasons day={activity.day} />
      </div>
      <ReportedRates />
    </>
  )
}

function Alerts({ alerts }: { alerts: readonly Alert[] }) {
  if (alerts.length === 0) return null
  return (
    <section class="card alerts">
      <h2>Alerts</h2>
      <ul>
        {alerts.map(({ rule, transport, message, since }) => (
          <li key={`${rule} ${transport ?? ''} ${since}`}>
            {message}{' '}
            <span class="dim">
              Raised <Time at={since} />.
            </span>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** The messages that the queue holds now. Settled ones are counted for as long as they are kept. */
function Counts({ activity: { queue } }: { activity: Activity }) {
  const kept = STATUSES.reduce((sum, status) => sum + queue[status], 0)
  return (
    <section aria-labelledby="counts-title">
      <h2 class="section-title" id="counts-title">
        Messages in the queue now{' '}
        <span class="dim">
          {count(kept)} kept of {count(queue.accepted)} ever accepted
        </span>
      </h2>
      <nav class="counts" aria-label="Messages by status">
        {STATUSES.map((status) => (
          <a
            class={`count ${status}${queue[status] === 0 ? ' none' : ''}`}
            href={hrefOf('messages', { status })}
            key={status}
          >
            <strong>{count(queue[status])}</strong> <span>{status}</span>
          </a>
        ))}
      </nav>
    </section>
  )
}

const HOUR = 60 * 60_000
const SPANS = [
  { name: 'Last hour', ms: HOUR },
  { name: 'Last 24 hours', ms: 24 * HOUR },
]

function Charts({ activity }: { activity: Activity }) {
  const { points } = useLive()
  const [span, setSpan] = useState(HOUR)
  const now = points.at(-1)
  const textOf = (value: number | null | undefined, format: (value: number) => string) =>
    value === null || value === undefined ? '–' : format(value)
  const milli = (value: number) => (value >= 1000 ? `${short(value / 1000)} s` : `${short(value)} ms`)
  const percent = (share: number) =>
    `${share >= 0.9995 || share === 0 ? Math.round(100 * share) : (100 * share).toFixed(1)}%`
  const last = points.findLast(({ success }) => success !== null)
  const charts: Omit<ChartProps, 'span'>[] = [
    {
      title: 'Throughput',
      now: `${short(activity.rate.settled)}/s`,
      note: `settled, ${short(activity.rate.accepted)}/s accepted, in the last 10 to 20 s`,
      lines: [
        { of: 'settled', name: 'settled', color: 'good', fill: true },
        { of: 'accepted', name: 'accepted', color: 'focus' },
      ],
      format: short,
      top: 4,
    },
    {
      title: 'Success',
      now: textOf(last?.success, percent),
      note: last === undefined ? 'nothing was settled' : `of messages settled at ${moment(last.at)}`,
      lines: [{ of: 'success', name: 'sent', color: 'good', fill: true }],
      format: percent,
      top: 1,
    },
    {
      title: 'Latency',
      now: textOf(last?.p50, milliseconds),
      note:
        last === undefined
          ? 'from acceptance to settlement; nothing was settled'
          : `median, ${textOf(last.p99, milliseconds)} at p99, from acceptance to settlement at ${moment(last.at)}`,
      lines: [
        { of: 'p50', name: 'p50', color: 'good' },
        { of: 'p95', name: 'p95', color: 'warn' },
        { of: 'p99', name: 'p99', color: 'bad' },
      ],
      format: milli,
      top: 10,
    },
    {
      title: 'Queue depth',
      now: count(waitingOf(activity)),
      note: 'messages not settled now',
      lines: [{ of: 'depth', name: 'waiting', color: 'focus', fill: true }],
      format: short,
      top: 10,
    },
    {
      title: 'Event loop delay',
      now: textOf(now?.loop, milliseconds),
      note: 'at p99, in the slowest process, in the last 10 to 20 s',
      lines: [{ of: 'loop', name: 'p99', color: 'brand', fill: true }],
      format: milli,
      top: 10,
    },
  ]
  return (
    <section aria-labelledby="history-title">
      <div class="section-head">
        <h2 class="section-title" id="history-title">
          History
        </h2>
        <div class="spans" role="group" aria-label="Span of the charts">
          {SPANS.map(({ name, ms }) => (
            <button
              class="button small"
              type="button"
              aria-pressed={span === ms}
              onClick={() => setSpan(ms)}
              key={ms}
            >
              {name}
            </button>
          ))}
        </div>
      </div>
      <div class="charts">
        {charts.map((chart) => (
          <Chart {...chart} span={span} key={chart.title} />
        ))}
      </div>
    </section>
  )
}

function waitingOf({ queue: { queued, sending, deferred, held } }: Activity): number {
  return queued + sending + deferred + held
}

function PauseButton({ paused }: { paused: boolean }) {
  const [problem, setProblem] = useState('')
  if (!useMay('manage')) return null
  const toggle = () => {
    setProblem('')
    post(paused ? 'resume' : 'pause').catch((error: unknown) => setProblem(messageOf(error)))
  }
  return (
    <div class="pause">
      <button class={paused ? 'button primary' : 'button'} type="button" onClick={toggle}>
        {paused ? 'Resume sending' : 'Pause sending'}
      </button>
      <Problem text={problem} />
    </div>
  )
}
