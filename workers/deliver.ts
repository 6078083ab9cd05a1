import { toWireAddress } from '../src/protocol/addressForms.js'
import type { Outcome } from '../src/protocol/outcome.js'
import { PhaseBoard, type Pulse } from '../src/protocol/phaseBoard.js'
import {
  sharedClock,
  type ComposedParts,
  type ConnectionCounts,
  type ComposeTask,
  type DeliverTask,
  type RenderedParts,
  type RenderResult,
  type LoadReply,
  type RenderTask,
  type ThreadLogLine,
  type ThreadSetup,
} from '../src/protocol/tasks.js'
import { type TemplateListing, type TemplateNotes } from '../src/protocol/templateManifest.js'
import { type TransportReport, type TransportUpdate } from '../src/protocol/transportConfig.js'
import { ArchiveWriter, shareLease } from './archiveWriter.js'
import { compose, type Composed } from './compose/compose.js'
import { DeliveryContext } from './deliveryContext.js'
import { DeliveryJournal } from './deliveryJournal.js'
import { LoadFailure, Skip } from './loading/loadFailure.js'
import { runLoad } from './loading/loadFunction.js'
import { LoadedBlocks, withOwnOctets } from './loading/loadedBlocks.js'
import { createRenderer } from './render/createRenderer.js'
import type { LoadModule, Renderer } from './render/renderer.js'
import { TemplateFailure } from './render/template/sourceFile.js'
import { ThreadLog } from './threadLog.js'
import { TransportPool } from './transports/transportPool.js'
import { hasAsciiVersion, toWirePayload, withGivenAddresses } from './wireForm.js'

/** Delivers messages in one thread, or in the calling thread: render, compose, send. */
export class Deliverer {
  readonly #setup: ThreadSetup
  readonly #thread: number
  readonly #board: PhaseBoard
  readonly #log: ThreadLog
  #renderer: Renderer
  readonly #transports: TransportPool
  readonly #journal: DeliveryJournal | undefined
  readonly #archive: ArchiveWriter | undefined
  /** Memory for what `load` functions return; undefined in the calling thread, from which nothing crosses. */
  readonly #blocks: LoadedBlocks | undefined

  #quitting = false

  /**
   * @param log passes a line to the mailer's logger
   * @param reportConnections called with the thread's connections whenever they change
   * @param pulse of the thread; the calling thread has none
   * @param isolated the thread ends with the delivery
   */
  constructor(
    setup: ThreadSetup,
    thread: number,
    log: (line: ThreadLogLine) => void,
    reportConnections: (connections: ConnectionCounts) => void,
    pulse?: Pulse,
    isolated = false,
  ) {
    this.#setup = setup
    this.#thread = thread
    this.#board = new PhaseBoard(setup.board, setup.recipientsPerSlot, pulse)
    this.#log = new ThreadLog(log)
    this.#renderer = this.#createRenderer(setup.templates)
    this.#transports = new TransportPool(
      [...setup.transports.values()],
      setup.connections,
      setup.threads,
      reportConnections,
    )
    if (thread !== 0) this.#blocks = new LoadedBlocks()
    if (setup.journal !== undefined) this.#journal = new DeliveryJournal(setup.journal)
    if (setup.archive !== undefined) this.#archive = new ArchiveWriter(setup.archive, this.#log, isolated)
  }

  /** Resolves when the application's setup module has run; rejects if it fails. */
  async ready(): Promise<void> {
    await this.#renderer.ready()
  }

  /** Lists the templates; rejects if the folder is unusable. */
  async listTemplates(): Promise<TemplateListing> {
    await this.#transports.ready()
    return this.#renderer.catalogue()
  }

  /** Makes one attempt. Never rejects: every failure is in the outcome. */
  async deliver(given: DeliverTask): Promise<Outcome | LoadReply> {
    const task = given.payload.loaded === true ? { ...given, payload: withOwnOctets(given.payload) } : given
    const { attempt, note = 0 } = task
    const context = new DeliveryContext(
      this.#board,
      task,
      this.#thread,
      this.#log,
      this.#journal?.entryFor({ id: task.payload.id, attempt, note }),
    )
    context.timings.clone = Math.max(0, sharedClock() - task.handedOverAt)
    const deadline = performance.now() + this.#setup.attemptTimeout
    if (!this.#transports.has(task.transport)) return context.transportUnavailable(task.transport)
    try {
      const load = task.payload.loaded === true ? undefined : this.#renderer.loadModule(task.payload.content)
      const module = load instanceof Promise ? await load : load
      if (module !== undefined) return await this.#load(module, task, context)
      const bound = this.#renderer.bind(task.payload, context.critical)
      const parts = bound instanceof Promise ? await bound : bound
      context.enterPhase('composing')
      const start = performance.now()
      const payload = toWirePayload(task.payload)
      const signer = this.#transports.signer(task.transport)
      const leases: (() => void)[] = []
      const composed = this.#kept(compose(payload, parts, signer), leases)
      const asciiVersion = hasAsciiVersion(payload)
        ? this.#kept(compose(payload, parts, signer, 'ascii'), leases)
        : undefined
      context.addTiming('compose', performance.now() - start)
      const envelope = { from: payload.envelopeFrom, to: task.recipients.map(toWireAddress) }
      if (task.notBefore !== undefined) await waitUntil(task.notBefore)
      const delivered = await this.#transports
        .get(task.transport)
        .send(
          { envelope, payload, parts, composed, asciiVersion, uncertain: task.uncertain },
          context,
          deadline,
        )
      delivered.recipients = withGivenAddresses(delivered.recipients, task.recipients, envelope.to)
      const outcome = context.outcomeOf(delivered)
      outcome.endedAt = sharedClock()
      if (this.#archive !== undefined) await this.#archiveSent(this.#archive, outcome, context, task, leases)
      if (task.payload.subject === undefined && parts.subject !== '') outcome.subject = parts.subject
      return this.#asReleased(outcome)
    } catch (error) {
      return error instanceof TemplateFailure ? context.templateFailed(error) : context.internalError(error)
    }
  }

  /** Keeps the memory of a message until it is archived: `leases` gets what releases it. */
  #kept(composed: Composed, leases: (() => void)[]): Composed {
    if (this.#archive === undefined) return composed
    const [shared, release] = shareLease(composed)
    leases.push(release)
    return shared
  }

  /** Begins to archive what the server accepted, or may have accepted. */
  async #archiveSent(
    archive: ArchiveWriter,
    { result }: Outcome,
    { octets }: DeliveryContext,
    { payload: { id }, attempt }: DeliverTask,
    leases: readonly (() => void)[],
  ): Promise<void> {
    const release = (): void => leases.forEach((end) => end())
    const uncertain = result === 'uncertain'
    if (octets === undefined || (result !== 'sent' && !uncertain)) release()
    else await archive.store({ id, attempt, uncertain, octets }, release)
  }

  /** Runs the `load` function of a message's template. The main thread then hands the message out again. */
  async #load(
    module: LoadModule,
    { payload }: DeliverTask,
    context: DeliveryContext,
  ): Promise<Outcome | LoadReply> {
    const start = performance.now()
    try {
      const { loadTimeout, messageLimit } = this.#setup
      const limits = { load: loadTimeout, message: messageLimit }
      const value = await runLoad(module, payload, context, limits)
      if (value instanceof Skip) return context.skipped(value.reason)
      return { result: 'loaded', value: this.#blocks?.share(value) ?? value, ms: performance.now() - start }
    } catch (error) {
      if (!(error instanceof LoadFailure)) throw error
      context.addTiming('load', performance.now() - start - (context.timings.load ?? 0))
      return context.loadFailed(error)
    }
  }

  render(task: RenderTask): Promise<RenderResult> {
    return this.#rendering<RenderedParts>(task, ({ critical }) => this.#renderer.render(task, critical))
  }

  /** Builds the message as `deliver()` would hand it to the transport. */
  compose(task: ComposeTask): Promise<RenderResult<ComposedParts>> {
    return this.#rendering(task, async ({ critical }) => {
      const { payload } = task
      const parts = await this.#renderer.bind(payload, critical)
      const { bytes } = compose(toWirePayload(payload), parts)
      const { preheader, html, text } = parts
      return { subject: payload.subject ?? parts.subject, preheader, html, text, raw: new Uint8Array(bytes) }
    })
  }

  inspect(task: RenderTask): Promise<RenderResult<TemplateNotes>> {
    return this.#rendering(task, ({ critical }) => this.#renderer.inspect(task.content, critical))
  }

  async #rendering<T>(
    task: RenderTask | ComposeTask,
    work: (context: DeliveryContext) => Promise<T>,
  ): Promise<RenderResult<T>> {
    const context = new DeliveryContext(this.#board, task, this.#thread, this.#log)
    this.#renderer.recheck()
    try {
      return { ok: true, parts: await work(context) }
    } catch (error) {
      if (!(error instanceof TemplateFailure)) throw error
      return { ok: false, outcome: context.templateFailed(error) }
    }
  }

  #createRenderer(templates: ThreadSetup['templates']): Renderer {
    const log = this.#log.write
    const { compileLimit } = this.#setup
    return createRenderer(templates === undefined ? { log, compileLimit } : { templates, log, compileLimit })
  }

  /** A transaction cut short by `quit()` says nothing about the message or the server. */
  #asReleased(outcome: Outcome): Outcome {
    if (!this.#quitting || outcome.result !== 'deferred' || outcome.code !== 'CONNECTION_CLOSED')
      return outcome
    return { ...outcome, code: 'RELEASED', message: 'The mailer was closed before the message was sent.' }
  }

  verify(transport: string): Promise<TransportReport> {
    return this.#transports.verify(transport)
  }

  async updateTransports(update: TransportUpdate): Promise<void> {
    await this.#transports.update(update)
  }

  /** Uses other templates from the next message on. Rejects if they are unusable; the old ones then stay in use. */
  async reloadTemplates(templates: ThreadSetup['templates']): Promise<void> {
    const fresh = this.#createRenderer(templates)
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
    await this.#archive?.close()
    await this.#renderer.close()
    this.#journal?.close()
  }
}

/** Waits until a time on `sharedClock()`. Loops because timers may fire slightly early. */
async function waitUntil(time: number): Promise<void> {
  for (let left = time - sharedClock(); left > 0; left = time - sharedClock())
    await new Promise((resolve) => setTimeout(resolve, Math.ceil(left)))
}
