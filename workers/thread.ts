/** What happens in each thread. */
import { type MessagePort, threadId, workerData } from 'node:worker_threads'
import type {
  ComposeTask,
  DeliverTask,
  LaneAnswer,
  LaneRequest,
  RenderTask,
  ThreadLogLine,
  ThreadSetup,
} from '../src/wire.js'
import { Answers } from './answers.js'
import { Deliverer } from './deliver.js'
import { lowerPriority } from './priority.js'

const setup = workerData as ThreadSetup
lowerPriority(setup.niceness)
const unsaid: ThreadLogLine[] = []
/** Until the lane is open, lines wait. */
let say = (line: ThreadLogLine): void => void unsaid.push(line)
/** The first one is opened for a delivery, when the lane has long been open. */
let count = (_connections: number): void => undefined
const deliverer = new Deliverer(
  setup,
  threadId,
  (line) => say(line),
  (open) => count(open),
)

/** Serves a lane as long as the thread lives. */
export function serve({ port }: { port: MessagePort }): Promise<void> {
  const answers = new Answers(port)
  port.on('message', (requests: LaneRequest[]) => {
    answers.owe(requests.length)
    for (const { id, ask, task } of requests) {
      perform(ask, task).then(
        (value) => {
          answers.give({ id, value })
        },
        (error: unknown) => {
          answers.give({ id, error: error instanceof Error ? error.message : String(error) })
        },
      )
    }
  })
  port.postMessage([{ hello: threadId }] satisfies LaneAnswer[])
  say = (log) => answers.say(log)
  count = (connections) => answers.count(connections)
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
    case 'compose':
      return deliverer.compose(task as ComposeTask)
    case 'inspect':
      return deliverer.inspect(task as RenderTask)
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
