/** What Piscina loads in each thread. */
import { BroadcastChannel, threadId, workerData } from 'node:worker_threads'
import type { Outcome } from '../src/outcome.js'
import type {
  Catalogue,
  ControlMessage,
  DeliverTask,
  RenderResult,
  RenderTask,
  ThreadSetup,
} from '../src/wire.js'
import { Deliverer } from './deliver.js'

const setup = workerData as ThreadSetup
const deliverer = new Deliverer(setup, threadId)

const channel = new BroadcastChannel(setup.channel)
channel.onmessage = ({ data }: { data: unknown }) => {
  if ((data as ControlMessage).kind !== 'quit') return
  void deliverer.quit().then(() => {
    channel.postMessage({ kind: 'gone', thread: threadId } satisfies ControlMessage)
  })
}

export function probe(): Promise<Catalogue> {
  return deliverer.probe()
}

export function deliver(task: DeliverTask): Promise<Outcome> {
  return deliverer.deliver(task)
}

export function render(task: RenderTask): Promise<RenderResult> {
  return deliverer.render(task)
}
