import { useState } from 'preact/hooks'
import type { MailerStats } from '../../index.js'
import { Chart } from './chart.js'
import { count, milliseconds, short } from './format.js'
import { headlineOf } from './headline.js'
import { type Point, useLive } from './liveState.js'
import { hrefOf } from './navigation.js'
import { Reasons, Threads, Transports } from './overviewPanels.js'
import { messageOf, post } from './request.js'
import { STATUSES } from './status.js'

/** The overview: whether mail is going out, and the numbers behind that. */
export function Overview() {
  const { tick, points } = useLive()
  if (tick === undefined) return <p class="empty">Loading…</p>
  const { stats } = tick
  const { title, detail, tone } = headlineOf(tick)
  return (
    <>
      <div class={`headline ${tone}`}>
        <div>
          <h1>{title}</h1>
          <p class="dim">{detail}</p>
        </div>
        <PauseButton paused={stats.paused} />
      </div>
      <Counts stats={stats} />
      <h2 class="hidden-label">Last few minutes</h2>
      <Charts now={points.at(-1)} stats={stats} />
      <Threads stats={stats} />
      <div class="columns">
        <Transports transports={stats.transports} />
        <Reasons settled={stats.settled} />
      </div>
    </>
  )
}

function Counts({ stats }: { stats: MailerStats }) {
  return (
    <nav class="counts" aria-label="Messages by status">
      {STATUSES.map((status) => (
        <a
          class={`count ${status}${stats[status] === 0 ? ' none' : ''}`}
          href={hrefOf('messages', { status })}
          key={status}
        >
          <strong>{count(stats[status])}</strong> <span>{status}</span>
        </a>
      ))}
    </nav>
  )
}

function Charts({ now, stats }: { now: Point | undefined; stats: MailerStats }) {
  const textOf = (value: number | null | undefined, format: (value: number) => string) =>
    value === null || value === undefined ? '–' : format(value)
  const milli = (value: number) => (value >= 1000 ? `${short(value / 1000)} s` : `${short(value)} ms`)
  return (
    <div class="charts">
      <Chart
        title="Throughput"
        now={`${textOf(now?.settled, short)}/s`}
        note={`settled, ${textOf(now?.accepted, short)}/s accepted`}
        lines={[
          { of: 'settled', name: 'settled', color: 'good', fill: true },
          { of: 'accepted', name: 'accepted', color: 'focus' },
        ]}
        format={short}
        top={4}
      />
      <Chart
        title="Success"
        now={textOf(
          now?.success,
          (value) => `${value >= 99.95 || value === 0 ? Math.round(value) : value.toFixed(1)}%`,
        )}
        note="of messages settled in the last 10 s"
        lines={[{ of: 'success', name: 'sent', color: 'good', fill: true }]}
        format={(value) => `${value}%`}
        top={100}
      />
      <Chart
        title="Latency"
        now={textOf(now?.p50, milliseconds)}
        note={`median, ${textOf(now?.p99, milliseconds)} at p99`}
        lines={[
          { of: 'p50', name: 'p50', color: 'good' },
          { of: 'p95', name: 'p95', color: 'warn' },
          { of: 'p99', name: 'p99', color: 'bad' },
        ]}
        format={milli}
        top={10}
      />
      <Chart
        title="Queue depth"
        now={textOf(now?.depth, count)}
        note="messages not settled"
        lines={[{ of: 'depth', name: 'waiting', color: 'focus', fill: true }]}
        format={short}
        top={10}
      />
      <Chart
        title="Event loop delay"
        now={milliseconds(stats.eventLoop.p99)}
        note={`p99, ${milliseconds(stats.eventLoop.max)} max`}
        lines={[{ of: 'loop', name: 'p99', color: 'brand', fill: true }]}
        format={milli}
        top={10}
      />
    </div>
  )
}

function PauseButton({ paused }: { paused: boolean }) {
  const [problem, setProblem] = useState('')
  const toggle = () => {
    setProblem('')
    post(paused ? 'resume' : 'pause').catch((error: unknown) => setProblem(messageOf(error)))
  }
  return (
    <div class="pause">
      <button class={paused ? 'button primary' : 'button'} type="button" onClick={toggle}>
        {paused ? 'Resume sending' : 'Pause sending'}
      </button>
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </div>
  )
}
