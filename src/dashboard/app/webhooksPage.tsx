import { useState } from 'preact/hooks'
import type { WebhookFailure, WebhookStatus } from '../../index.js'
import type { WebhooksView } from '../viewModels.js'
import { TableHead } from './dataTable.js'
import { count, plural, Time } from './format.js'
import { hrefOf } from './navigation.js'
import { messageOf, post } from './request.js'
import { useMay } from './scopes.js'
import { useLoaded } from './useLoaded.js'

const STATES = {
  working: 'Working',
  failing: 'Failing',
  disabled: 'Disabled: the receiver answered 410',
} as const

/** The endpoints that receive the mailer’s events. */
export function WebhooksPage() {
  const { loaded, problem } = useLoaded<WebhooksView>('webhooks')
  return (
    <>
      <h1>Webhooks</h1>
      {problem !== undefined && <p class="problem">{problem}</p>}
      {loaded?.webhooks.length === 0 && <p class="empty">No webhooks are configured.</p>}
      {loaded?.webhooks.map((webhook) => (
        <Webhook webhook={webhook} key={webhook.id} />
      ))}
    </>
  )
}

function Webhook({ webhook }: { webhook: WebhookStatus }) {
  const { id, url, events, state, since, problem, waiting, delivered, failed, dropped, failures } = webhook
  const [news, setNews] = useState('')
  const mayManage = useMay('manage')
  const redeliver = (event?: string) => {
    setNews('')
    post<{ events: number }>(`webhooks/${id}/redeliver`, event === undefined ? {} : { event }).then(
      (sent) => setNews(`${plural(sent.events, 'event')} will be sent again.`),
      (error: unknown) => setNews(messageOf(error)),
    )
  }
  return (
    <section class="card">
      <div class="card-head">
        <h2>{url}</h2>
        <p>
          <span class={`lamp ${state === 'working' ? 'good' : 'bad'}`} aria-hidden="true" /> {STATES[state]}
          {since !== undefined && (
            <>
              {' '}
              since <Time at={since} />
            </>
          )}
          {problem !== undefined && `: ${problem}`}
        </p>
        <p class="dim">{events.join(', ')}</p>
      </div>
      <dl class="figures">
        {[
          ['Delivered', count(delivered)],
          ['Waiting', count(waiting)],
          ['Failed', count(failed)],
          ['Dropped', count(dropped)],
        ].map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {mayManage && (failed > 0 || state === 'disabled') && (
        <p class="actions">
          <button class="button small" type="button" onClick={() => redeliver()}>
            {state === 'disabled'
              ? 'Enable and send all failed events again'
              : 'Send all failed events again'}
          </button>
        </p>
      )}
      <p class="dim" role="status">
        {news}
      </p>
      {failures.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={`Failed events of ${url}`}>
          <table class="groups">
            <caption>Last failures</caption>
            <TableHead columns={['Event', 'Last attempt', 'Problem', ...(mayManage ? ['Action'] : [])]} />
            <tbody>
              {failures.map((failure) => (
                <Failure
                  failure={failure}
                  redeliver={mayManage ? () => redeliver(failure.id) : undefined}
                  key={failure.id}
                />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function Failure({
  failure: { id, type, message, failedAt, attempts, problem },
  redeliver,
}: {
  failure: WebhookFailure
  redeliver: (() => void) | undefined
}) {
  return (
    <tr>
      <th scope="row">{message === undefined ? type : <a href={hrefOf(`messages/${message}`)}>{type}</a>}</th>
      <td>
        <Time at={failedAt} />, {plural(attempts, 'attempt')}
      </td>
      <td>{problem}</td>
      {redeliver !== undefined && (
        <td>
          <button class="button small" type="button" onClick={redeliver}>
            Send again
            <span class="hidden-label"> ({id})</span>
          </button>
        </td>
      )}
    </tr>
  )
}
