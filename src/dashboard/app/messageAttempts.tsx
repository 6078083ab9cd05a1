import type { MessageAttempt, Timings } from '../../index.js'
import { TIMING_STEPS } from '../../protocol/progress.js'
import { milliseconds, Time } from './format.js'
import { Badge } from './status.js'

interface AttemptsProps {
  attempts: readonly MessageAttempt[]
  log: readonly string[]
  acceptedAt: string
  next: string | undefined
}

/** The history of a message, oldest event first. */
export function Attempts({ attempts, log, acceptedAt, next }: AttemptsProps) {
  return (
    <section class="card">
      <h2>History</h2>
      <ol class="timeline">
        <li>
          <p class="event">
            <Time at={acceptedAt} /> Accepted
          </p>
        </li>
        {attempts.map((attempt, index) => (
          <Attempt attempt={attempt} number={index + 1} line={log[index]} key={attempt.start} />
        ))}
        {next !== undefined && (
          <li class="to-come">
            <p class="event">
              <Time at={next} /> Next attempt
            </p>
          </li>
        )}
      </ol>
    </section>
  )
}

function Attempt({
  attempt,
  number,
  line,
}: {
  attempt: MessageAttempt
  number: number
  line: string | undefined
}) {
  const { start, outcome, code, message, reply, phase, thread, counted, timings } = attempt
  const where = thread === 0 ? 'main thread' : `thread ${thread}`
  return (
    <li class={outcome}>
      <p class="event">
        <Time at={start} /> Attempt {number} <Badge status={outcome} />
        <span class="dim">
          {where}, reached: {phase}
          {counted ? '' : ', not counted'}
        </span>
      </p>
      {reply !== undefined && (
        <code class="reply">
          {reply.code} {reply.text}
        </code>
      )}
      {outcome !== 'sent' && (
        <p class="why">
          {reply === undefined && message.split('\n')[0]} <code>{code}</code>
        </p>
      )}
      <Steps timings={timings} />
      {line !== undefined && (
        <details class="log-line">
          <summary>Log line</summary>
          <code class="reply">{line}</code>
        </details>
      )}
    </li>
  )
}

/** The time of each step, as a bar and in numbers. */
function Steps({ timings }: { timings: Timings }) {
  const steps = TIMING_STEPS.flatMap((step) => {
    const took = timings[step]
    return took === undefined ? [] : [{ step, took }]
  })
  if (steps.length === 0) return null
  return (
    <div class="steps">
      <div class="steps-bar" aria-hidden="true">
        {steps.map(({ step, took }) => (
          <span class={`step-${step}`} style={{ flexGrow: Math.max(took, 0.001) }} key={step} />
        ))}
      </div>
      <dl class="steps-key">
        {steps.map(({ step, took }) => (
          <div key={step}>
            <dt class={`step-${step}`}>{step}</dt>
            <dd>{milliseconds(took)}</dd>
          </div>
        ))}
      </dl>
    </div>
  )
}
