import { useState } from 'preact/hooks'
import type {
  MailerStats,
  SettledCount,
  ThreadStatus,
  TransportReport,
  TransportStatus,
} from '../../index.js'
import { count, milliseconds, moment, plural } from './format.js'
import { hrefOf } from './navigation.js'
import { messageOf, post } from './request.js'
import { PHASES } from './status.js'

/** A phase with more deliveries shows their number. */
const MAX_DOTS = 12

/** The threads, with the number of their deliveries in each phase. */
export function Threads({ stats: { threads, threadRestarts, setup } }: { stats: MailerStats }) {
  return (
    <section class="card">
      <div class="card-head">
        <h2>Threads</h2>
        <p class="dim">
          {threadRestarts === 0
            ? 'No thread has died.'
            : `${plural(threadRestarts, 'thread')} died and ${threadRestarts === 1 ? 'was' : 'were'} replaced.`}
        </p>
      </div>
      {setup !== undefined && (
        <p class="problem" role="alert">
          Mail has been held since {moment(setup.since)}: {plural(setup.deaths, 'thread')} died in a row, and
          no message caused it: {setup.message}. The next start is at {moment(setup.retryAt)}. Sending resumes
          automatically once a thread runs.
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

/** The state of each transport, with a button that tests its connection. */
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
  const [testing, setTesting] = useState(false)
  const verify = () => {
    setTesting(true)
    setResult(undefined)
    post<TransportReport>('verify', { transport: status.transport })
      .then(
        (report) => setResult(sentenceOf(report)),
        (error: unknown) => setResult(messageOf(error)),
      )
      .finally(() => setTesting(false))
  }
  return (
    <li>
      <div class="transport">
        <h3>
          <span class={`lamp ${status.breaker === 'open' ? 'bad' : 'good'}`} aria-hidden="true" />
          {status.transport}
        </h3>
        <button class="button small" type="button" onClick={verify} disabled={testing}>
          {testing ? 'Testing…' : 'Test connection'}
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
  if (breaker === 'closed') return 'Healthy'
  const when = since === undefined ? '' : ` since ${moment(since)}`
  const reason = trouble?.message ?? 'The server can’t be reached.'
  return `Messages have been held${when}: ${reason} Sending resumes automatically when the transport recovers.`
}

function sentenceOf(report: TransportReport): string {
  if (!report.ok) return `Connection failed: ${report.message}`
  const encryption = report.tls === undefined ? 'unencrypted' : `over ${report.tls.protocol}`
  return `Connected: ${report.host}:${report.port} responded in ${milliseconds(report.ms)}, ${encryption}${report.authenticated ? ', authenticated' : ''}.`
}

/** The reasons in words. */
const REASON_LABELS: Partial<Record<SettledCount['reason'], string>> = {
  NONE: 'Never attempted',
  SMTP_REJECTED: 'Rejected by the server',
  SMTP_DEFERRED: 'Deferred by the server too many times',
  TEMPLATE_ERROR: 'Template error',
  MISSING_DATA: 'Missing data',
  UNKNOWN_TEMPLATE: 'Unknown template',
  INVALID_MESSAGE: 'Invalid message',
  POISON: 'Crashed worker threads',
  SIZE_EXCEEDED: 'Too large for the server',
  SMTPUTF8_UNSUPPORTED: 'Address not supported by the server',
  CONNECTION_CLOSED: 'Connection closed',
  CONNECTION_FAILED: 'Connection failed',
  AUTH_FAILED: 'Authentication failed',
  TLS_FAILED: 'TLS failed',
  TIMEOUT: 'Server timed out',
  REPLY_LOST: 'Reply lost',
  REPLY_TIMEOUT: 'Reply timed out',
  SETUP_FAILED: 'Worker threads failed to start',
  THREAD_DIED: 'Worker thread died',
  PROCESS_DIED: 'Process died',
  QUEUE_RESTORED: 'Queue restored from a copy',
  INTERNAL_ERROR: 'Internal error',
}

/** The failures since the process started, by reason. */
export function Reasons({ settled }: { settled: readonly SettledCount[] }) {
  const failures = settled
    .filter(({ status }) => status === 'failed' || status === 'partial' || status === 'expired')
    .sort((a, b) => b.count - a.count)
  const most = failures[0]?.count ?? 1
  return (
    <section class="card">
      <h2>Failures by reason</h2>
      {failures.length === 0 ? (
        <p class="dim">No failures since the process started.</p>
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
                  <span class="reason">{REASON_LABELS[reason] ?? reason}</span>
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
