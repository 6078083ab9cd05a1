import { useState } from 'preact/hooks'
import type { TransportReport, TransportStatus } from '../../index.js'
import { messageOf, post } from './api.js'
import { milliseconds, moment } from './format.js'

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
