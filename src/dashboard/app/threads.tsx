import type { MailerStats, Phase, ThreadStatus } from '../../index.js'
import { moment, plural } from './format.js'

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
