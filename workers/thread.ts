/** What happens in each thread. */
import { type MessagePort, threadId, workerData } from 'node:worker_threads'
import type { AnswerOf, LaneAnswer, LaneRequest, Request } from '../src/wire/requests.js'
import type { ThreadLogLine, ThreadSetup } from '../src/wire/tasks.js'
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
    for (const request of requests) {
      const { id } = request
      perform(request).then(
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

const nothing = (): undefined => undefined

function perform(request: LaneRequest): Promise<AnswerOf<Request>> {
  switch (request.ask) {
    case 'probe':
      return deliverer.probe()
    case 'deliver':
      return deliverer.deliver(request.task)
    case 'render':
      return deliverer.render(request.task)
    case 'compose':
      return deliverer.compose(request.task)
    case 'inspect':
      return deliverer.inspect(request.task)
    case 'verify':
      return deliverer.verify(request.task.transport)
    case 'reloadTransports':
      return deliverer.reloadTransports(request.task.transports).then(nothing)
    case 'reloadTemplates':
      return deliverer.reloadTemplates(request.task.templates).then(nothing)
    case 'quit':
      return deliverer.quit().then(nothing)
  }
}
