/** What Piscina loads in each thread. */
import { type MessagePort, threadId, workerData } from 'node:worker_threads'
import type {
  DeliverTask,
  LaneAnswer,
  LaneRequest,
  RenderTask,
  ThreadLogLine,
  ThreadSetup,
} from '../src/wire.js'
import { Deliverer } from './deliver.js'
import { lowerPriority } from './priority.js'

const setup = workerData as ThreadSetup
lowerPriority(setup.niceness)
const unsaid: ThreadLogLine[] = []
/** Until the lane is open, lines wait. */
let say = (line: ThreadLogLine): void => void unsaid.push(line)
const deliverer = new Deliverer(setup, threadId, (line) => say(line))

/**
 * Serves a lane as long as the thread lives. What is ready within one turn of the event loop goes back in one
 * message.
 */
export function serve({ port }: { port: MessagePort }): Promise<void> {
  let answers: LaneAnswer[] = []
  const answer = (one: LaneAnswer): void => {
    if (answers.push(one) > 1) return
    setImmediate(() => {
      port.postMessage(answers)
      answers = []
    })
  }
  port.on('message', (requests: LaneRequest[]) => {
    for (const { id, ask, task } of requests) {
      perform(ask, task).then(
        (value) => {
          answer({ id, value })
        },
        (error: unknown) => {
          answer({ id, error: error instanceof Error ? error.message : String(error) })
        },
      )
    }
  })
  answer({ hello: threadId })
  say = (log) => answer({ log })
  for (const line of unsaid.splice(0)) say(line)
  return new Promise((resolve) => port.on('close', resolve))
}

function perform(ask: LaneRequest['ask'], task: object | undefined): Promise<unknown> {
  switch (ask) {
    case 'probe':
      return deliverer.probe()
    case 'deliver':
      return deliverer.deliver(task as DeliverTask)
    case 'render':
      return deliverer.render(task as RenderTask)
    case 'verify':
      return deliverer.verify((task as { transport: string }).transport)
    case 'reload':
      return deliverer.reload((task as Pick<ThreadSetup, 'transports'>).transports)
    case 'renew':
      return deliverer.renew((task as Required<Pick<ThreadSetup, 'templates'>>).templates)
    case 'quit':
      return deliverer.quit()
  }
}
