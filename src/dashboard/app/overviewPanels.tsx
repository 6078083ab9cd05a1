import { useState } from 'preact/hooks'
import type {
  MailerStats,
  Phase,
  SettledCount,
  ThreadStatus,
  TransportReport,
  TransportStatus,
} from '../../index.js'
import { count, milliseconds, moment, plural } from './format.js'
import { hrefOf } from './navigation.js'
import { messageOf, post } from './request.js'

const PHASES = [
  'waiting',
  'rendering',
  'composing',
  'connecting',
  'envelope',
  'body',
  'replied',
] as const satisfies readonly Phase[]

/** More than these are told by their number. */
const DOTS = 12

/** The phase boards: how far each thread's deliveries have got. */
export function Threads({ stats: { threads, threadRestarts, setup } }: { stats: MailerStats }) {
  return (
    <section class="card">
      <div class="card-head">
        <h2>Threads</h2>
        <p class="dim">
          {threadRestarts === 0
            ? 'None has died.'
            : `${plural(threadRestarts, 'thread')} died and ${threadRestarts === 1 ? 'was' : 'were'} replaced.`}
        </p>
      </div>
      {setup !== undefined && (
        <p class="problem" role="alert">
          Mail is held since {moment(setup.since)}: {plural(setup.deaths, 'thread')} died in a row, and no
          message is to blame: {setup.message}. Threads are started again at {moment(setup.retryAt)}; mail
          goes out by itself once one lives.
        </p>
      )}
      <div class="scroll" tabIndex={0} role="region" aria-label="Threads">
        <table class="threads">
          <thead>
            <tr>
              <th scope="col">Thread</th>
              <th scope="col">Busy</th>
              {PHASES.map((phase) => (
                <th scope="col" key={phase}>
                  {phase}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {threads.map((thread) => (
              <Row thread={thread} key={thread.thread} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

function Row({ thread: { thread, busy, phases } }: { thread: ThreadStatus }) {
  const percent = Math.round(busy * 100)
  return (
    <tr>
      <th scope="row">{thread === 0 ? 'main' : thread}</th>
      <td>
        <span class="meter">
          <span class="meter-fill" style={{ width: `${percent}%` }} />
        </span>
        <span class="meter-text">{percent} %</span>
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
        {count > DOTS ? <b>{count}</b> : Array.from({ length: count }, (_, index) => <i key={index} />)}
      </span>
    </>
  )
}

/** Whether each transport works, in a sentence; and a button that finds out. */
export function Transports({ transports }: { transports: readonly TransportStatus[] }) {
  return (
    <section class="card">
      <h2>Transports</h2>
      <ul class="transports">
        {transports.map((status) => (
          <Transport status={status} key={status.transport} />
        ))}
      </ul>
    </section>
  )
}

function Transport({ status }: { status: TransportStatus }) {
  const [result, setResult] = useState<string>()
  const [trying, setTrying] = useState(false)
  const verify = () => {
    setTrying(true)
    setResult(undefined)
    post<TransportReport>('verify', { transport: status.transport })
      .then(
        (report) => setResult(sentenceOf(report)),
        (error: unknown) => setResult(messageOf(error)),
      )
      .finally(() => setTrying(false))
  }
  return (
    <li>
      <div class="transport">
        <h3>
          <span class={`lamp ${status.breaker === 'open' ? 'bad' : 'good'}`} aria-hidden="true" />
          {status.transport}
        </h3>
        <button class="button small" type="button" onClick={verify} disabled={trying}>
          {trying ? 'Trying…' : 'Try it'}
          <span class="hidden-label"> ({status.transport})</span>
        </button>
      </div>
      <p>{stateOf(status)}</p>
      <p class="dim" role="status">
        {result}
      </p>
    </li>
  )
}

function stateOf({ breaker, since, trouble }: TransportStatus): string {
  if (breaker === 'closed') return 'Takes mail.'
  const when = since === undefined ? '' : ` since ${moment(since)}`
  return `Its messages are held${when}: ${trouble?.message ?? 'its server is out of reach'} They go on by themselves once it works.`
}

function sentenceOf(report: TransportReport): string {
  if (!report.ok) return `It does not work: ${report.message}`
  const secured = report.tls === undefined ? 'in clear' : `over ${report.tls.protocol}`
  return `It works: ${report.host}:${report.port} answered within ${milliseconds(report.ms)}, ${secured}${report.authenticated ? ', logged in' : ''}.`
}

/** What the codes mean, for people. */
const MEANINGS: Partial<Record<SettledCount['reason'], string>> = {
  NONE: 'Never tried',
  SMTP_REJECTED: 'Refused by the server',
  SMTP_DEFERRED: 'Deferred by the server too often',
  TEMPLATE_ERROR: 'The template failed',
  MISSING_DATA: 'The data lacked something',
  UNKNOWN_TEMPLATE: 'There is no such template',
  INVALID_MESSAGE: 'Not a valid message',
  POISON: 'Brought threads down',
  SIZE_EXCEEDED: 'Larger than the server takes',
  SMTPUTF8_UNSUPPORTED: 'The server takes no such address',
  CONNECTION_CLOSED: 'The connection was closed',
  CONNECTION_FAILED: 'The server was out of reach',
  AUTH_FAILED: 'The password was refused',
  TLS_FAILED: 'No safe connection',
  TIMEOUT: 'The server took too long',
  REPLY_LOST: 'No reply came',
  REPLY_TIMEOUT: 'No reply came in time',
  SETUP_FAILED: 'No thread lived long enough',
  THREAD_DIED: 'A thread died',
  PROCESS_DIED: 'The process died',
  INTERNAL_ERROR: 'An internal error',
}

/** What did not go out, by reason, since the process started. */
export function Reasons({ settled }: { settled: readonly SettledCount[] }) {
  const failures = settled
    .filter(({ status }) => status === 'failed' || status === 'partial' || status === 'expired')
    .sort((a, b) => b.count - a.count)
  const most = failures[0]?.count ?? 1
  return (
    <section class="card">
      <h2>Failures by reason</h2>
      {failures.length === 0 ? (
        <p class="dim">Nothing has failed since the process started.</p>
      ) : (
        <table class="reasons">
          <thead class="hidden-label">
            <tr>
              <th scope="col">Reason</th>
              <th scope="col">Status</th>
              <th scope="col">Messages</th>
            </tr>
          </thead>
          <tbody>
            {failures.map(({ status, reason, count: number }) => (
              <tr key={`${status} ${reason}`}>
                <td>
                  <span class="reason">{MEANINGS[reason] ?? reason}</span>
                  <span class="meter wide" aria-hidden="true">
                    <span class={`meter-fill ${status}`} style={{ width: `${(100 * number) / most}%` }} />
                  </span>
                </td>
                <td>
                  <a href={hrefOf('messages', { status })}>{status}</a>
                </td>
                <td class="number">{count(number)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
