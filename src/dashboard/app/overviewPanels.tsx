import { useState } from 'preact/hooks'
import type { Activity, PeriodFigures, SettledCount, TransportReport } from '../../index.js'
import { count, milliseconds, moment } from './format.js'
import { hrefOf } from './navigation.js'
import { messageOf, post } from './request.js'
import { useMay } from './scopes.js'
import { type MergedTransport, transportsOf } from './transports.js'

/** The state of each transport, with a button that tests its connection. */
export function Transports({ activity }: { activity: Activity }) {
  const transports = transportsOf(activity.processes)
  return (
    <section class="card">
      <h2>Transports</h2>
      {transports.length === 0 && (
        <p class="dim">No process that delivers is running, so the transports are not known.</p>
      )}
      <ul class="transports">
        {transports.map((status) => (
          <Transport status={status} key={status.transport} />
        ))}
      </ul>
    </section>
  )
}

function Transport({ status }: { status: MergedTransport }) {
  const [result, setResult] = useState<string>()
  const [testing, setTesting] = useState(false)
  const mayManage = useMay('manage')
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
        {mayManage && (
          <button class="button small" type="button" onClick={verify} disabled={testing}>
            {testing ? 'Testing…' : 'Test connection'}
            <span class="hidden-label"> ({status.transport})</span>
          </button>
        )}
      </div>
      <p>{stateOf(status)}</p>
      <p class="dim" role="status">
        {result}
      </p>
    </li>
  )
}

export function stateOf({ breaker, since, trouble, broken, processes, rate }: MergedTransport): string {
  if (breaker === 'closed')
    return rate === undefined ? 'Healthy' : `Healthy, at most ${count(rate)} messages per second`
  const when = since === undefined ? '' : ` since ${moment(since)}`
  const where = processes > 1 ? ` in ${broken} of ${processes} processes` : ''
  const reason = trouble?.message ?? 'The server can’t be reached.'
  return `Messages have been held${where}${when}: ${reason} Sending resumes automatically when the transport recovers.`
}

export function sentenceOf(report: TransportReport): string {
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

/** The failures of the last day by reason, in all processes. */
export function Reasons({ day }: { day: PeriodFigures }) {
  const failures = day.settled
    .filter(({ status }) => status === 'failed' || status === 'partial' || status === 'expired')
    .sort((a, b) => b.count - a.count)
  const most = failures[0]?.count ?? 1
  return (
    <section class="card">
      <div class="card-head">
        <h2>Failures by reason</h2>
        <p class="dim">Since {moment(day.since)}</p>
      </div>
      {failures.length === 0 ? (
        <p class="dim">No message failed.</p>
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
