import type { ComposedParts, Content, JsonObject, MessagePayload, RenderResult } from '../protocol/tasks.js'
import type { TemplateListing, TemplateNotes } from '../protocol/templateManifest.js'
import type { TransportConfig, TransportReport, TransportUpdate } from '../protocol/transportConfig.js'
import type { CrashLoopListener, Outage } from './crashLoop.js'
import type { PoolOptions } from './pool.js'
import type { DeliveryOrder, DeliverySlots, PhaseCounts, Runner, RunResult, ThreadStatus } from './runner.js'
import { InFlightWindow } from './slotPool.js'

/** Follows the threads of a runner. */
export type ThreadListener = Pick<PoolOptions, 'logged' | 'started' | 'died'> &
  Pick<CrashLoopListener, 'held' | 'released'>

/**
 * Creates a runner with these transports.
 * @param listener follows its threads, on behalf of all who share it
 */
type RunnerFactory = (transports: TransportConfig[], listener: ThreadListener) => Runner

/**
 * One runner that several mailers share. It starts with the first share and ends with the last. Each share has its own
 * transports, under names that no other share has, and its own number of deliveries at a time.
 */
export class RunnerHub {
  readonly #concurrency: number
  readonly #create: RunnerFactory
  readonly #shares = new Map<string, { transports: Map<string, TransportConfig>; listener: ThreadListener }>()
  /** The changes that the threads don't know yet: a transport by its name, or undefined if it was removed. */
  readonly #changed = new Map<string, TransportConfig | undefined>()
  #runner: Runner | undefined
  #listing: Promise<TemplateListing> | undefined
  #applying: Promise<void> | undefined
  #lastScope = 0

  /** @param concurrency deliveries at a time of each share */
  constructor(concurrency: number, create: RunnerFactory) {
    this.#concurrency = concurrency
    this.#create = create
  }

  /** Number of shares. */
  get size(): number {
    return this.#shares.size
  }

  share(transports: TransportConfig[], listener: ThreadListener): Runner {
    const scope = `${++this.#lastScope}/`
    const named = scoped(transports, scope).map((transport) => [transport.name, transport] as const)
    this.#shares.set(scope, { transports: new Map(named), listener })
    for (const [name, transport] of named) this.#changed.set(name, transport)
    return new SharedRunner(this, scope, this.#concurrency)
  }

  /** Starts the runner, or gives the running one the transports of a new share. */
  async start(): Promise<{ runner: Runner; listing: TemplateListing }> {
    const joins = this.#runner !== undefined
    if (!joins) this.#changed.clear()
    const runner = (this.#runner ??= this.#create(this.#transports(), this.#listener()))
    const starting = (this.#listing ??= runner.start())
    try {
      const listing = await starting
      if (joins) await this.#apply()
      return { runner, listing }
    } catch (error) {
      if (this.#runner === runner) this.#runner = this.#listing = undefined
      throw error
    }
  }

  async update(scope: string, { set, remove }: TransportUpdate): Promise<void> {
    const share = this.#shares.get(scope)
    if (share === undefined) return
    for (const name of remove) {
      share.transports.delete(`${scope}${name}`)
      this.#changed.set(`${scope}${name}`, undefined)
    }
    for (const transport of scoped(set, scope)) {
      share.transports.set(transport.name, transport)
      this.#changed.set(transport.name, transport)
    }
    await this.#apply()
  }

  /** Gives the threads what has changed. What is asked for in one turn of the event loop is done together. */
  #apply(): Promise<void> {
    this.#applying ??= Promise.resolve().then(() => {
      this.#applying = undefined
      const changes = [...this.#changed]
      this.#changed.clear()
      return this.#runner?.updateTransports({
        set: changes.flatMap(([, transport]) => transport ?? []),
        remove: changes.flatMap(([name, transport]) => (transport === undefined ? [name] : [])),
      })
    })
    return this.#applying
  }

  /** The threads close the connections of the share; the last share ends them. */
  async leave(scope: string): Promise<void> {
    const share = this.#shares.get(scope)
    if (share === undefined) return
    this.#shares.delete(scope)
    for (const name of share.transports.keys()) this.#changed.set(name, undefined)
    if (this.#shares.size > 0) return this.#apply()
    const runner = this.#runner
    this.#runner = this.#listing = undefined
    await runner?.close()
  }

  #transports(): TransportConfig[] {
    return [...this.#shares.values()].flatMap(({ transports }) => [...transports.values()])
  }

  #listener(): ThreadListener {
    const each = (report: (listener: ThreadListener) => void): void => {
      for (const { listener } of [...this.#shares.values()]) report(listener)
    }
    return {
      logged: (thread, line) => each((listener) => listener.logged(thread, line)),
      started: (thread) => each((listener) => listener.started(thread)),
      died: (thread, reason) => each((listener) => listener.died(thread, reason)),
      held: (outage) => each((listener) => listener.held(outage)),
      released: (lasted) => each((listener) => listener.released(lasted)),
    }
  }
}

function scoped(transports: readonly TransportConfig[], scope: string): TransportConfig[] {
  return transports.map((transport) => ({ ...transport, name: `${scope}${transport.name}` }))
}

/** A mailer's share of a {@link RunnerHub}. */
class SharedRunner implements Runner {
  readonly slots: DeliverySlots
  readonly #hub: RunnerHub
  readonly #scope: string
  readonly #window: InFlightWindow
  #started: Runner | undefined
  #closed: Promise<void> | undefined

  constructor(hub: RunnerHub, scope: string, concurrency: number) {
    this.#hub = hub
    this.#scope = scope
    this.#window = new InFlightWindow(concurrency)
    this.slots = new SharedSlots(() => this.#runner.slots, this.#window)
  }

  get #runner(): Runner {
    if (this.#started === undefined) throw new Error('the share was not started')
    return this.#started
  }

  async start(): Promise<TemplateListing> {
    const { runner, listing } = await this.#hub.start()
    this.#started = runner
    return listing
  }

  listTemplates(): Promise<TemplateListing> {
    return this.#runner.listTemplates()
  }

  get outage(): Outage | undefined {
    return this.#runner.outage
  }

  get releaseIn(): number {
    return this.#runner.releaseIn
  }

  async deliver(order: DeliveryOrder, isolated: boolean): Promise<RunResult> {
    order.scope = this.#scope
    try {
      return await this.#runner.deliver(order, isolated)
    } finally {
      this.#window.recordEnd(performance.now())
    }
  }

  withdraw(order: DeliveryOrder): boolean {
    return this.#runner.withdraw(order)
  }

  render(content: Content, context?: JsonObject): Promise<RenderResult> {
    return this.#runner.render(content, context)
  }

  compose(payload: MessagePayload): Promise<RenderResult<ComposedParts>> {
    return this.#runner.compose(payload)
  }

  inspect(content: Content): Promise<RenderResult<TemplateNotes>> {
    return this.#runner.inspect(content)
  }

  async verify(transport: string): Promise<TransportReport> {
    return { ...(await this.#runner.verify(`${this.#scope}${transport}`)), transport }
  }

  updateTransports(update: TransportUpdate): Promise<void> {
    return this.#hub.update(this.#scope, update)
  }

  reloadTemplates(): Promise<void> {
    return Promise.reject(new Error('a mailer that shares its threads has no templates'))
  }

  threads(): ThreadStatus[] {
    return this.#runner.threads()
  }

  endThread(): number | undefined {
    return this.#runner.endThread()
  }

  phases(): PhaseCounts {
    return this.#runner.phases()
  }

  close(): Promise<void> {
    this.#closed ??= this.#hub.leave(this.#scope)
    return this.#closed
  }
}

/** Slots of the hub's runner, as many as the share's own window allows. */
class SharedSlots implements DeliverySlots {
  readonly #all: () => DeliverySlots
  readonly #window: InFlightWindow
  readonly #reserved = new Set<number>()
  readonly #lent = new Set<number>()

  constructor(all: () => DeliverySlots, window: InFlightWindow) {
    this.#all = all
    this.#window = window
  }

  get capacity(): number {
    return this.#window.size + this.#lent.size
  }

  get free(): number {
    return Math.max(0, this.capacity - this.#reserved.size)
  }

  reserve(): number | undefined {
    if (this.free === 0) return undefined
    const slot = this.#all().reserve()
    if (slot !== undefined) this.#reserved.add(slot)
    return slot
  }

  lend(slot: number): void {
    if (!this.#reserved.has(slot)) return
    this.#lent.add(slot)
    this.#all().lend(slot)
  }

  release(slot: number): void {
    this.#lent.delete(slot)
    if (this.#reserved.delete(slot)) this.#all().release(slot)
  }
}
