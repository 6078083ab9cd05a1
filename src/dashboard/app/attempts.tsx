import type { MessageAttempt, Timings } from '../../index.js'
import { milliseconds, moment } from './format.js'
import { Badge } from './status.js'

const STEPS = [
  'queue',
  'clone',
  'compile',
  'render',
  'compose',
  'connect',
  'transaction',
] as const satisfies readonly (keyof Timings)[]

interface AttemptsProps {
  attempts: readonly MessageAttempt[]
  acceptedAt: string
  next: string | undefined
}

/** What happened to a message, in order. */
export function Attempts({ attempts, acceptedAt, next }: AttemptsProps) {
  return (
    <section class="card">
      <h2>What happened</h2>
      <ol class="timeline">
        <li>
          <p class="event">
            <time dateTime={acceptedAt}>{moment(acceptedAt)}</time> Accepted
          </p>
        </li>
        {attempts.map((attempt, index) => (
          <Attempt attempt={attempt} number={index + 1} key={attempt.start} />
        ))}
        {next !== undefined && (
          <li class="to-come">
            <p class="event">
              <time dateTime={next}>{moment(next)}</time> Next attempt
            </p>
          </li>
        )}
      </ol>
    </section>
  )
}

function Attempt({ attempt, number }: { attempt: MessageAttempt; number: number }) {
  const { start, outcome, code, message, reply, phase, thread, counted, timings } = attempt
  const where = thread === 0 ? 'in the main thread' : `in thread ${thread}`
  return (
    <li class={outcome}>
      <p class="event">
        <time dateTime={start}>{moment(start)}</time> Attempt {number} <Badge status={outcome} />
        <span class="dim">
          {where}, got as far as {phase}
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
    </li>
  )
}

/** Where the time went: a bar, and the same in numbers. */
function Steps({ timings }: { timings: Timings }) {
  const steps = STEPS.flatMap((step) => {
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
