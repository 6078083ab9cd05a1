/** What is asked of a thread, and what it answers, over its lane. */
import type { MessagePort } from 'node:worker_threads'
import type { Outcome } from './outcome.js'
import type { Catalogue, TemplateNotes } from './templates.js'
import type { TransportConfig, TransportReport } from './transports.js'
import type {
  ComposedParts,
  ComposeTask,
  DeliverTask,
  RenderResult,
  RenderTask,
  ThreadLogLine,
  ThreadSetup,
} from './tasks.js'

/** What a thread is given once, when its lane is opened. */
export interface LaneOpening {
  port: MessagePort
  /** Its place on the pulse board. */
  place: number
  /** One delivery at a time, each watched closely: see `workers/lineage.ts`. */
  isolated: boolean
}

/** Each request, with what it is about and what its answer is. */
export interface Requests {
  probe: { task: undefined; answer: Catalogue }
  deliver: { task: DeliverTask; answer: Outcome }
  render: { task: RenderTask; answer: RenderResult }
  compose: { task: ComposeTask; answer: RenderResult<ComposedParts> }
  inspect: { task: RenderTask; answer: RenderResult<TemplateNotes> }
  verify: { task: { transport: string }; answer: TransportReport }
  reloadTransports: { task: { transports: readonly TransportConfig[] }; answer: undefined }
  reloadTemplates: { task: Pick<ThreadSetup, 'templates'>; answer: undefined }
  quit: { task: undefined; answer: undefined }
}

export type Request = keyof Requests
export type TaskOf<R extends Request> = Requests[R]['task']
export type AnswerOf<R extends Request> = Requests[R]['answer']

export type LaneRequest = { [R in Request]: { id: number; ask: R; task: TaskOf<R> } }[Request]

export type LaneAnswer =
  /** The thread starts: it sets up what the application brings. */
  | { hello: number }
  /** It has, and takes requests. */
  | { ready: true }
  | { log: ThreadLogLine }
  /** So many are open now. */
  | { connections: number }
  | { id: number; value: AnswerOf<Request> }
  | { id: number; error: string }
