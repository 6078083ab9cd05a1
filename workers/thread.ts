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
import { CodeOwner } from './codeOwner.js'
import { Deliverer } from './deliver.js'
import { Heartbeat } from './heartbeat.js'
import { ReplyBatcher } from './replyBatcher.js'

/**
 * Lowers the priority of the calling thread, so that with too few cores the web process runs first. Only Linux has
 * thread priorities; elsewhere this does nothing.
 * @param niceness 0 (same as the process) to 19 (only time that no other thread wants)
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

const setup = workerData as ThreadSetup
lowerPriority(setup.niceness)

/**
 * Serves a channel as long as the thread lives. No application code runs before: a thread that Piscina starts as a
 * replacement waits until the main thread opens its channel.
 * Rejects if the application's setup module fails; the channel may then be opened again.
 */
export async function serve({ port, place, isolated }: ChannelOpening): Promise<void> {
  const heartbeat = new Heartbeat(setup, place)
  const codeOwner = isolated ? new CodeOwner((owner) => heartbeat.act(owner)) : undefined
  port.postMessage([{ hello: threadId }] satisfies ChannelReply[])
  const replies = new ReplyBatcher(port)
  const deliverer = new Deliverer(
    setup,
    threadId,
    (log) => replies.log(log),
    (open) => replies.reportConnections(open),
    heartbeat,
    isolated,
  )
  try {
    await deliverer.ready()
  } catch (error) {
    heartbeat.stop()
    codeOwner?.stop()
    await deliverer.quit()
    throw error
  }
  heartbeat.ready()
  port.on('message', (requests: ChannelRequest[]) => {
    replies.expect(requests.length)
    for (const request of requests) {
      const { id, task } = request
      const work = (): Promise<ReplyOf<Request>> => perform(deliverer, request)
      const reply =
        codeOwner !== undefined && task !== undefined && 'slot' in task ? codeOwner.run(task, work) : work()
      reply.then(
        (value) => {
          replies.reply({ id, value })
        },
        (error: unknown) => {
          replies.reply({ id, error: error instanceof Error ? error.message : String(error) })
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
    case 'updateTransports':
      return deliverer.updateTransports(request.task).then(nothing)
    case 'reloadTemplates':
      return deliverer.reloadTemplates(request.task.templates).then(nothing)
    case 'quit':
      return deliverer.quit().then(nothing)
  }
}
