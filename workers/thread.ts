import { readlinkSync } from 'node:fs'
import os from 'node:os'
import { threadId, workerData } from 'node:worker_threads'
import type {
  ReplyOf,
  ChannelReply,
  ChannelOpening,
  ChannelRequest,
  Request,
  ThreadSetup,
} from '../src/protocol/tasks.js'
import { Deliverer } from './deliver.js'
import { Heartbeat } from './heartbeat.js'
import { Lineage } from './lineage.js'
import { ReplyBatcher } from './replyBatcher.js'

/**
 * Lowers the priority of the calling thread, so that with too few cores the web process is served first. Only Linux
 * has priorities of threads; where it can't be done nothing happens.
 * @param niceness 0 (as the process) to 19 (only what nobody else wants)
 */
function lowerPriority(niceness: number): void {
  if (niceness === 0 || process.platform !== 'linux') return
  try {
    // PROCESS/task/THREAD
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
    os.setPriority(thread, niceness)
  } catch {
    // A container may forbid it.
  }
}

/** What happens in each thread. */

const setup = workerData as ThreadSetup
lowerPriority(setup.niceness)

/**
 * Serves a lane as long as the thread lives. No code of the application runs before: a thread that Piscina starts in
 * the place of another waits here until the main thread wants it.
 * Rejects when what the application brings can't be set up; then the lane may be opened again.
 */
export async function serve({ port, place, isolated }: ChannelOpening): Promise<void> {
  const heartbeat = new Heartbeat(setup, place)
  const lineage = isolated ? new Lineage((owner) => heartbeat.act(owner)) : undefined
  port.postMessage([{ hello: threadId }] satisfies ChannelReply[])
  const answers = new ReplyBatcher(port)
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
  port.on('message', (requests: ChannelRequest[]) => {
    answers.owe(requests.length)
    for (const request of requests) {
      const { id, task } = request
      const work = (): Promise<ReplyOf<Request>> => perform(deliverer, request)
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
  port.postMessage([{ ready: true }] satisfies ChannelReply[])
  return new Promise((resolve) => port.on('close', resolve))
}

const nothing = (): undefined => undefined

function perform(deliverer: Deliverer, request: ChannelRequest): Promise<ReplyOf<Request>> {
  switch (request.ask) {
    case 'probe':
      return deliverer.listTemplates()
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
