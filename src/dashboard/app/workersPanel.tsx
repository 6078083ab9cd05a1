import type { ProcessActivity, ThreadStatus } from '../../index.js'
import { PHASES } from '../../protocol/progress.js'
import { TableHead } from './dataTable.js'
import { duration, moment, plural, Time } from './format.js'

/** A phase with more deliveries shows their number. */
const MAX_DOTS = 12

const ROLES = { both: 'accepts and delivers', send: 'accepts only', deliver: 'delivers' } as const

/** Every process on the queue: its threads, and what they are doing. */
export function Workers({ processes }: { processes: readonly ProcessActivity[] }) {
  const live = processes.filter(({ gone }) => !gone)
  const gone = processes.length - live.length
  const restarts = live.reduce((sum, { threadRestarts }) => sum + threadRestarts, 0)
  return (
    <section class="card">
      <div class="card-head">
        <h2>Workers</h2>
        <p class="dim">
          {plural(live.length, 'process', 'processes')}
          {gone > 0 && `, ${gone} gone in the last hour`}.{' '}
          {restarts === 0
            ? 'No thread has died since they started.'
            : `Since they started, ${plural(restarts, 'thread')} died and ${restarts === 1 ? 'was' : 'were'} replaced.`}{' '}
          “Busy” is the share of the time since the last sign of life.
        </p>
      </div>
      {live.map(
        ({ id, host, pid, setup }) =>
          setup !== undefined && (
            <p class="problem" role="alert" key={id}>
              Mail has been held since {moment(setup.since)}: {plural(setup.deaths, 'thread')} of process{' '}
              {pid} on {host} died in a row, and no message caused it: {setup.message}. The next start is at{' '}
              {moment(setup.retryAt)}. Sending resumes automatically once a thread runs.
            </p>
          ),
      )}
      <div class="scroll" tabIndex={0} role="region" aria-label="Workers and their threads">
        <table class="threads">
          <TableHead columns={['Process, thread', 'Busy', ...PHASES]} />
          {processes.map((process) => (
            <Process process={process} key={process.id} />
          ))}
        </table>
      </div>
    </section>
  )
}

function Process({ process }: { process: ProcessActivity }) {
  const { host, pid, role, version, node, startedAt, silentFor, gone, threads } = process
  return (
    <tbody>
      <tr class={gone ? 'process gone' : 'process'}>
        <th scope="rowgroup" colSpan={2 + PHASES.length}>
          <span class="process-line">
            <span class={`lamp ${gone ? 'bad' : 'good'}`} aria-hidden="true" />{' '}
            <strong>
              {host} · {pid}
            </strong>{' '}
            <span class="dim">
              {gone ? `gone: last sign of life ${duration(silentFor)} ago` : ROLES[role]}
              {!gone && `, ${threadsOf(process)}`}, threadpost {version}, Node {node}, started{' '}
              <Time at={startedAt} />
              {!gone && `, last sign of life ${duration(silentFor)} ago`}
            </span>
          </span>
        </th>
      </tr>
      {!gone && threads.map((thread) => <Thread thread={thread} key={thread.thread} />)}
    </tbody>
  )
}

function threadsOf({ role, threads }: ProcessActivity): string {
  return role === 'send'
    ? 'no threads'
    : plural(threads.filter(({ thread }) => thread !== 0).length, 'thread')
}

function Thread({ thread: { thread, busy, phases } }: { thread: ThreadStatus }) {
  const percent = Math.round(busy * 100)
  return (
    <tr class="thread">
      <th scope="row">{thread === 0 ? 'main' : thread}</th>
      <td>
        <span class="meter">
          <span class="meter-fill" style={{ width: `${percent}%` }} />
        </span>
        <span class="meter-text">{percent}%</span>
      </td>
      {PHASES.map((phase) => (
        <td key={phase} class="phase">
          <Dots count={phases[phase]} />
        </td>
      ))}
    </tr>
  )
}

function Dots({ count }: { count: number }) {
  return (
    <>
      <span class="hidden-label">{count}</span>
      <span class="dots" aria-hidden="true">
        {count > MAX_DOTS ? <b>{count}</b> : Array.from({ length: count }, (_, index) => <i key={index} />)}
      </span>
    </>
  )
}
