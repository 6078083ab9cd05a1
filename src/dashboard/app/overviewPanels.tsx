import type { Activity, PeriodFigures, SettledCount } from '../../index.js'
import { TableHead } from './dataTable.js'
import { count, moment } from './format.js'
import { hrefOf } from './navigation.js'
import { TransportState } from './transportControls.js'
import { transportsOf } from './transports.js'

/** The state of each transport. */
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
          <li key={status.transport}>
            <h3>
              <a href={hrefOf(`transports/${encodeURIComponent(status.transport)}`)}>{status.transport}</a>
            </h3>
            <TransportState status={status} />
          </li>
        ))}
      </ul>
    </section>
  )
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
          <TableHead class="hidden-label" columns={['Reason', 'Status', 'Messages']} />
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
