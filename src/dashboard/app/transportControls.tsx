import { useState } from 'preact/hooks'
import type { QuotaStatus, TransportReport } from '../../index.js'
import { moment } from './format.js'
import { News, Problem } from './notices.js'
import { messageOf, post } from './request.js'
import { useMay } from './scopes.js'
import { type MergedTransport, quotaEnd, quotaFigures, sentenceOf, stateOf } from './transports.js'

/** The state of a transport, with the buttons to test, pause, and resume it. */
export function TransportState({ status }: { status: MergedTransport }) {
  const [result, setResult] = useState<string>()
  const [testing, setTesting] = useState(false)
  const mayManage = useMay('manage')
  const { transport, paused = false, breaker } = status
  const verify = () => {
    setTesting(true)
    setResult(undefined)
    post<TransportReport>('verify', { transport })
      .then(
        (report) => setResult(sentenceOf(report)),
        (error: unknown) => setResult(messageOf(error)),
      )
      .finally(() => setTesting(false))
  }
  const toggle = () => {
    setResult(undefined)
    post(paused ? 'resume' : 'pause', { transport }).catch((error: unknown) => setResult(messageOf(error)))
  }
  return (
    <>
      <p>
        <span class={`lamp ${breaker === 'open' || paused ? 'bad' : 'good'}`} aria-hidden="true" />{' '}
        {stateOf(status)}
      </p>
      {mayManage && (
        <p class="actions">
          <button class="button small" type="button" onClick={verify} disabled={testing}>
            {testing ? 'Testing…' : 'Test connection'}
            <span class="hidden-label"> ({transport})</span>
          </button>{' '}
          <button class="button small" type="button" onClick={toggle}>
            {paused ? 'Resume transport' : 'Pause transport'}
            <span class="hidden-label"> ({transport})</span>
          </button>
        </p>
      )}
      <p class="dim" role="status">
        {result}
      </p>
    </>
  )
}

/** The page of a transport: its state, and its limits, which can be changed. */
export function TransportControls({ status }: { status: MergedTransport }) {
  return (
    <section class="card">
      <TransportState status={status} />
      {status.quota !== undefined && <Quota quota={status.quota} />}
      {useMay('manage') && <Limits status={status} />}
    </section>
  )
}

function Quota({ quota }: { quota: QuotaStatus }) {
  const end = quotaEnd(quota, Date.now())
  return (
    <>
      <dl class="figures">
        {quotaFigures(quota).map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {end !== undefined && <p>The quota is used up. The next messages are due at {moment(end)}.</p>}
    </>
  )
}

function Limits({ status: { transport, rate, concurrency } }: { status: MergedTransport }) {
  const [news, setNews] = useState('')
  const [problem, setProblem] = useState('')
  const change = (event: Event) => {
    event.preventDefault()
    setNews('')
    setProblem('')
    const form = new FormData(event.currentTarget as HTMLFormElement)
    const numberOf = (name: string) => {
      const value = form.get(name)
      return typeof value === 'string' && value.trim() !== '' ? Number(value) : null
    }
    const limits = { concurrency: numberOf('concurrency'), rate: numberOf('rate') }
    post(`transports/${encodeURIComponent(transport)}`, limits).then(
      () => setNews('Changed. Other processes follow within seconds.'),
      (error: unknown) => setProblem(messageOf(error)),
    )
  }
  return (
    <form class="limits" onSubmit={change}>
      <label class="field">
        <span>Connections at a time</span>
        <input
          name="concurrency"
          type="number"
          min="1"
          max="10000"
          placeholder="as configured"
          value={concurrency}
        />
      </label>
      <label class="field">
        <span>Messages per second</span>
        <input name="rate" type="number" min="0.001" step="any" placeholder="as configured" value={rate} />
      </label>
      <button class="button" type="submit">
        Change limits
      </button>
      <News text={news} />
      <Problem text={problem} />
    </form>
  )
}
