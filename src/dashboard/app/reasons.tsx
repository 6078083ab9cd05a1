import type { SettledCount } from '../../index.js'
import { count } from './format.js'
import { hrefOf } from './route.js'

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
