import type { Outcome } from '../src/protocol/outcome.js'
import { PhaseBoard, type Pulse } from '../src/protocol/phaseBoard.js'
import {
  sharedClock,
  type ComposedParts,
  type ComposeTask,
  type DeliverTask,
  type RenderedParts,
  type RenderResult,
  type RenderTask,
  type ThreadLogLine,
  type ThreadSetup,
} from '../src/protocol/tasks.js'
import { type TemplateListing, type TemplateNotes } from '../src/protocol/templateManifest.js'
import { type TransportConfig, type TransportReport } from '../src/protocol/transportConfig.js'
import { compose } from './compose/compose.js'
import { DeliveryContext } from './deliveryContext.js'
import { DeliveryJournal } from './deliveryJournal.js'
import { createRenderer } from './render/createRenderer.js'
import type { Renderer } from './render/renderer.js'
import { TemplateFailure } from './render/template/source.js'
import { ThreadLog } from './threadLog.js'
import { TransportPool } from './transports/transportPool.js'

/** The delivery of messages in one thread, or in the calling one: render, compose, send. */
export class Deliverer {
  readonly #setup: ThreadSetup
  readonly #thread: number
  readonly #board: PhaseBoard
  readonly #log: ThreadLog
  #renderer: Renderer
  readonly #transports: TransportPool
  readonly #witness: DeliveryJournal | undefined

  #quitting = false

  /**
   * @param say takes a line to the mailer's logger
   * @param count is told how many connections there are, whenever that has changed
   * @param pulse of the thread; the calling thread has none
   */
  constructor(
    setup: ThreadSetup,
    thread: number,
    say: (line: ThreadLogLine) => void,
    count: (connections: number) => void,
    pulse?: Pulse,
  ) {
    this.#setup = setup
    this.#thread = thread
    this.#board = new PhaseBoard(setup.board, setup.recipientsPerSlot, pulse)
    this.#log = new ThreadLog(say)
    this.#renderer = this.#rendererOf(setup.templates)
    this.#transports = new TransportPool(setup.transports, setup.connections, setup.threads, count)
    if (setup.journal !== undefined) this.#witness = new DeliveryJournal(setup.journal)
  }

  /** Resolves once what the application brings is set up, and rejects where that fails. */
  async ready(): Promise<void> {
    await this.#renderer.ready()
  }

  /** What templates there are; fails where the folder is unusable. */
  async listTemplates(): Promise<TemplateListing> {
    await this.#transports.ready()
    return this.#renderer.catalogue()
  }

  /** One attempt. Whatever goes wrong is in the outcome. */
  async deliver(task: DeliverTask): Promise<Outcome> {
    const { attempt, note = 0 } = task
    const run = new DeliveryContext(
      this.#board,
      task,
      this.#thread,
      this.#log,
      this.#witness?.entryFor({ id: task.payload.id, attempt, note }),
    )
    run.timings.clone = Math.max(0, sharedClock() - task.handedOverAt)
    const deadline = performance.now() + this.#setup.attemptTimeout
    if (!this.#transports.has(task.transport))
      return run.rejected('INVALID_MESSAGE', `There is no transport "${task.transport}".`)
    try {
      const bound = this.#renderer.bind(task.payload, run.critical)
      const parts = bound instanceof Promise ? await bound : bound
      run.enterPhase('composing')
      const start = performance.now()
      const signed = this.#transports.sign(task.transport, compose(task.payload, parts))
      const message = signed instanceof Promise ? await signed : signed
      run.addTiming('compose', performance.now() - start)
      const envelope = { from: task.payload.envelopeFrom, to: task.recipients }
      if (task.notBefore !== undefined) await until(task.notBefore)
      const delivered = await this.#transports
        .get(task.transport)
        .send({ envelope, letter: task.payload, parts, ...message }, run, deadline)
      const outcome = run.outcomeOf(delivered)
      outcome.endedAt = sharedClock()
      return this.#released(outcome)
    } catch (error) {
      return error instanceof TemplateFailure ? run.templateFailed(error) : run.broke(error)
    }
  }

  render(task: RenderTask): Promise<RenderResult> {
    return this.#rendering<RenderedParts>(task, ({ critical }) => this.#renderer.render(task, critical))
  }

  /** What `deliver()` would hand to the transport. */
  compose(task: ComposeTask): Promise<RenderResult<ComposedParts>> {
    return this.#rendering(task, async ({ critical }) => {
      const { payload } = task
      const parts = await this.#renderer.bind(payload, critical)
      const { bytes } = compose(payload, parts)
      const { preheader, html, text } = parts
      return { subject: payload.subject ?? parts.subject, preheader, html, text, raw: new Uint8Array(bytes) }
    })
  }

  inspect(task: RenderTask): Promise<RenderResult<TemplateNotes>> {
    return this.#rendering(task, ({ critical }) => this.#renderer.inspect(task.content, critical))
  }

  async #rendering<T>(
    task: RenderTask | ComposeTask,
    work: (run: DeliveryContext) => Promise<T>,
  ): Promise<RenderResult<T>> {
    const run = new DeliveryContext(this.#board, task, this.#thread, this.#log)
    try {
      return { ok: true, parts: await work(run) }
    } catch (error) {
      if (!(error instanceof TemplateFailure)) throw error
      return { ok: false, outcome: run.templateFailed(error) }
    }
  }

  #rendererOf(templates: ThreadSetup['templates']): Renderer {
    const log = this.#log.write
    return createRenderer(templates === undefined ? { log } : { templates, log })
  }

  /** A transaction that closing cut short says nothing of the message, nor of the server. */
  #released(outcome: Outcome): Outcome {
    if (!this.#quitting || outcome.result !== 'deferred' || outcome.code !== 'CONNECTION_CLOSED')
      return outcome
    return { ...outcome, code: 'RELEASED', message: 'The mailer was closed before the message was sent.' }
  }

  verify(transport: string): Promise<TransportReport> {
    return this.#transports.verify(transport)
  }

  async reloadTransports(transports: readonly TransportConfig[]): Promise<void> {
    this.#transports.reload(transports)
  }

  /** Other templates from the next message on. Rejects where they can't be used; then the old ones stay. */
  async reloadTemplates(templates: ThreadSetup['templates']): Promise<void> {
    const fresh = this.#rendererOf(templates)
    try {
      await fresh.catalogue()
    } catch (error) {
      await fresh.close()
      throw error
    }
    const old = this.#renderer
    this.#renderer = fresh
    await old.close()
  }

  async quit(): Promise<void> {
    this.#quitting = true
    await this.#transports.quit()
    await this.#renderer.close()
    this.#witness?.close()
  }
}

/** Timers may fire a little early. */
async function until(time: number): Promise<void> {
  for (let left = time - sharedClock(); left > 0; left = time - sharedClock())
    await new Promise((resolve) => setTimeout(resolve, Math.ceil(left)))
}
