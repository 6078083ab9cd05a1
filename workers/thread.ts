/** What happens in each thread. */
import { threadId, workerData } from 'node:worker_threads'
import type { AnswerOf, LaneAnswer, LaneOpening, LaneRequest, Request } from '../src/wire/requests.js'
import type { ThreadSetup } from '../src/wire/tasks.js'
import { Answers } from './answers.js'
import { Deliverer } from './deliver.js'
import { Heartbeat } from './heartbeat.js'
import { Lineage } from './lineage.js'
import { lowerPriority } from './priority.js'

const setup = workerData as ThreadSetup
lowerPriority(setup.niceness)

/**
 * Serves a lane as long as the thread lives. No code of the application runs before: a thread that Piscina starts in
 * the place of another waits here until the main thread wants it.
 * Rejects when what the application brings can't be set up; then the lane may be opened again.
 */
export async function serve({ port, place, isolated }: LaneOpening): Promise<void> {
  const heartbeat = new Heartbeat(setup, place)
  const lineage = isolated ? new Lineage((owner) => heartbeat.act(owner)) : undefined
  port.postMessage([{ hello: threadId }] satisfies LaneAnswer[])
  const answers = new Answers(port)
  const deliverer = new Deliverer(
    setup,
    threadId,
    (log) => answers.say(log),
    (open) => answers.count(open),
    heartbeat,
  )
  try {
    await deliverer.ready()
  } catch (error) {
    heartbeat.stop()
    lineage?.stop()
    await deliverer.quit()
    throw error
  }
  heartbeat.ready()
  port.on('message', (requests: LaneRequest[]) => {
    answers.owe(requests.length)
    for (const request of requests) {
      const { id, task } = request
      const work = (): Promise<AnswerOf<Request>> => perform(deliverer, request)
      const answer =
        lineage !== undefined && task !== undefined && 'slot' in task ? lineage.run(task, work) : work()
      answer.then(
        (value) => {
          answers.give({ id, value })
        },
        (error: unknown) => {
          answers.give({ id, error: error instanceof Error ? error.message : String(error) })
        },
      )
    }
  })
  port.postMessage([{ ready: true }] satisfies LaneAnswer[])
  return new Promise((resolve) => port.on('close', resolve))
}

const nothing = (): undefined => undefined

function perform(deliverer: Deliverer, request: LaneRequest): Promise<AnswerOf<Request>> {
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
