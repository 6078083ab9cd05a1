import { ThreadpostError } from '../errors.js'
import type { TransportConfig, TransportReport } from '../protocol/transportConfig.js'
import type { TemplateReload } from '../templates/templateOptions.js'
import type { Runner } from '../threads/runner.js'
import { isPlainObject, Validator } from '../validation.js'
import { withEhloName } from './defaultEhloName.js'
import { checkDkimRecord } from './dkimRecord.js'
import { buildsMessages } from './providers.js'
import { type ReversePathLimit, strictestLimit } from './reversePaths.js'
import { requireOwn, requirePublic } from './tenantRestrictions.js'
import { checkTransportName } from './transportMap.js'
import {
  checkFailover,
  resolveTransport,
  type TransportInput,
  type ResolvedTransport,
} from './transportOptions.js'
import type { TransportRegistry } from './transportRegistry.js'
import type { ResolvedTransports } from './transportResolver.js'
import type { TransportStateOptions } from './transportState.js'

/** The new settings that {@link Mailer.reload} applies: for existing transports, or for the templates. */
export interface ReloadOptions {
  /** The values of `@app`, and the application's modules; `{}` runs these again. Can't be combined with transports. */
  templates?: TemplateReload
  /** New settings of the default transport. */
  transport?: TransportInput
  /** New settings by name. Transports that are not listed keep their settings. */
  transports?: Record<string, TransportInput>
}

/** A transport as its options say. */
interface ManagedTransport {
  /** Undefined if it only distributes messages to others. */
  config: TransportConfig | undefined
  /** How the dispatcher knows it. */
  state: TransportStateOptions
  /** Whether the option `resolveTransport` returned it. */
  resolved: boolean
}

const check: Validator = new Validator('INVALID_OPTIONS')

/** Changes of a transport at run time, on top of its options. */
export interface TransportChange {
  /** Whether its messages are held. @default false */
  paused?: boolean
  /** Maximum number of connections at a time. @default the transport's `connections` */
  concurrency?: number
  /** Maximum number of messages per second. @default the transport's `rate` */
  rate?: number
}

/** Adds, removes, and tests a mailer's transports, and gives them new settings, while mail is being sent. */
export class TransportManager implements ResolvedTransports {
  readonly #runner: Runner
  readonly #registry: TransportRegistry
  readonly #from: string | undefined
  readonly #transports: Map<string, ManagedTransport>
  #changes: ReadonlyMap<string, TransportChange> = new Map()
  /** Removals in progress. */
  readonly #removing = new Map<string, Promise<void>>()
  /** Whether messages may name transports that are not known yet. */
  readonly open: boolean
  #forget: (name: string) => void = () => undefined

  /**
   * @param states how the dispatcher knows the transports
   * @param from the address of the mailer's `from`
   * @param open whether transports are resolved when messages name them
   */
  constructor(
    transports: readonly TransportConfig[],
    states: readonly TransportStateOptions[],
    runner: Runner,
    registry: TransportRegistry,
    from: string | undefined,
    open: boolean,
  ) {
    const configOf = new Map(transports.map((config) => [config.name, config]))
    this.#transports = new Map(
      states.map((state) => [state.name, { config: configOf.get(state.name), state, resolved: false }]),
    )
    this.#from = from
    this.open = open
    this.#runner = runner
    this.#registry = registry
  }

  /** @param forget called with the name of each transport that the application adds or removes */
  onChange(forget: (name: string) => void): void {
    this.#forget = forget
  }

  async verify(input: unknown): Promise<TransportReport> {
    const { first } = this
    if (input === undefined && first === undefined)
      throw new ThreadpostError('UNSUPPORTED', 'This mailer has no transport to test; ask one that delivers')
    const named = this.#known(input ?? first, 'transport')
    const [share] = this.#transports.get(named)?.state.spread ?? []
    // Of those that share its messages, the first one is tested.
    const name = share?.[0] ?? named
    const config = this.#transports.get(name)?.config
    const keys = config !== undefined && 'dkim' in config ? config.dkim : undefined
    const [report, dkim] = await Promise.all([
      this.#runner.verify(name),
      keys && Promise.all(keys.map((key) => checkDkimRecord(key))),
    ])
    return dkim === undefined ? report : { ...report, dkim }
  }

  async reload(input: unknown): Promise<void> {
    const reloaded = this.#reloaded(check.object(input, '', ['transport', 'transports']))
    for (const transport of reloaded) this.#transports.set(transport.state.name, transport)
    await this.#update(reloaded.map(({ state }) => state.name))
    for (const { state } of reloaded) this.#registry.reloaded(this.#changedState(state))
  }

  /** @throws ThreadpostError `INVALID_OPTIONS` */
  async add(name: unknown, input: unknown): Promise<void> {
    const known = checkTransportName(check, name, 'name')
    await this.#removing.get(known)
    if (this.#transports.get(known)?.resolved === false)
      check.fail('name', 'there is already a transport with this name; reload() changes its settings')
    const transport = this.#managed(known, input, 'transport', false)
    checkFailover(check, transport.state, this.#isOwn, 'transport')
    this.#forget(known)
    await this.#put(transport)
  }

  /** Resolves when its deliveries in progress have ended. @throws ThreadpostError `INVALID_OPTIONS` */
  async remove(input: unknown): Promise<void> {
    const name = this.#known(input, 'name')
    this.#forget(name)
    await this.#remove(name, false)
  }

  check(name: string, input: unknown): ResolvedTransport {
    requireOwn(check, input, 'transport')
    const transport = withEhloName(resolveTransport(check, name, input, 'transport'), this.#from)
    checkFailover(check, transport, this.#isOwn, 'transport')
    return requirePublic(check, transport, input, 'transport')
  }

  async put(resolved: ResolvedTransport): Promise<void> {
    await this.#removing.get(resolved.name)
    const transport = this.#toManaged(resolved, 'transport', true)
    const before = this.#transports.get(resolved.name)
    const same = before !== undefined && JSON.stringify(before) === JSON.stringify(transport)
    await this.#put(transport, same)
  }

  idle(name: string): boolean {
    return this.#registry.idle(name)
  }

  evict(name: string): Promise<void> {
    return this.#remove(name, true)
  }

  /** @param same whether a transport that was resolved again has its old settings: then the breaker stays as it is */
  async #put(transport: ManagedTransport, same = false): Promise<void> {
    const { state, resolved } = transport
    const { name } = state
    const known = this.#transports.has(name)
    this.#transports.set(name, transport)
    if (!same) await this.#update([name])
    if (known && !same) this.#registry.reloaded(this.#changedState(state))
    const added = this.#registry.added(this.#changedState(state), resolved)
    if (!known || added) this.#registry.changed(name, this.#changes.get(name) ?? {})
  }

  #remove(name: string, remember: boolean): Promise<void> {
    this.#transports.delete(name)
    const removing = this.#registry
      .removed(name, remember)
      .then(() => this.#runner.updateTransports({ set: [], remove: [name] }))
      .finally(() => this.#removing.delete(name))
    this.#removing.set(name, removing)
    return removing
  }

  /** Whether the application configured or added a transport of this name. */
  readonly #isOwn = (name: string): boolean => this.#transports.get(name)?.resolved === false

  /** The name of the default transport; undefined without one. */
  get first(): string | undefined {
    for (const [name, { resolved }] of this.#transports) if (!resolved) return name
    return undefined
  }

  has(name: string): boolean {
    return this.#transports.has(name)
  }

  /** Whether a transport can't send a finished message, or its failover can't. */
  withoutRaw(name: string): boolean {
    const transport = this.#transports.get(name)
    if (transport === undefined) return false
    const { failover, spread = [] } = transport.state
    return [name, ...failover, ...spread.map(([each]) => each)].some((each) => {
      const config = this.#transports.get(each)?.config
      return config !== undefined && buildsMessages(config)
    })
  }

  /** How a transport, or its failover, restricts the reverse-path. */
  reversePathLimit(name: string): ReversePathLimit | undefined {
    const failover = this.#transports.get(name)?.state.failover ?? []
    return strictestLimit([name, ...failover].map((each) => this.#transports.get(each)?.config?.kind))
  }

  /** Applies the changes of all transports, in place of earlier ones. */
  async change(changes: ReadonlyMap<string, TransportChange>): Promise<void> {
    const before = this.#changes
    this.#changes = changes
    const names = [...this.#transports.keys()]
    const differs = (key: keyof TransportChange) =>
      names.filter((name) => before.get(name)?.[key] !== changes.get(name)?.[key])
    const resized = differs('concurrency')
    if (resized.length > 0) await this.#update(resized)
    for (const name of differs('rate')) {
      const state = this.#transports.get(name)?.state
      if (state !== undefined) this.#registry.limited(this.#changedState(state))
    }
    for (const name of names) this.#registry.changed(name, changes.get(name) ?? {})
  }

  /** Gives the threads the current settings of transports. */
  async #update(names: readonly string[]): Promise<void> {
    const set = names.flatMap((name) => {
      const config = this.#transports.get(name)?.config
      if (config === undefined) return []
      const { concurrency } = this.#changes.get(name) ?? {}
      return [concurrency === undefined ? config : { ...config, connections: concurrency }]
    })
    await this.#runner.updateTransports({ set, remove: [] })
  }

  #changedState(state: TransportStateOptions): TransportStateOptions {
    const { rate } = this.#changes.get(state.name) ?? {}
    return rate === undefined ? state : { ...state, budget: { ...state.budget, rate } }
  }

  #reloaded({ transport, transports }: Record<string, unknown>): ManagedTransport[] {
    if ((transport === undefined) === (transports === undefined))
      check.fail('transport', 'give either transport or transports')
    if (transports !== undefined && !isPlainObject(transports))
      check.fail('transports', 'must be an object of transports by name')
    const { first } = this
    const given = isPlainObject(transports) ? Object.entries(transports) : [[first ?? '', transport] as const]
    return given.map(([name, value]) => {
      const path = transports === undefined ? 'transport' : `transports.${name}`
      const old = this.#transports.get(name)
      if (old === undefined || old.resolved)
        return check.fail(path, 'there is no such transport; add it with addTransport()')
      const managed = this.#managed(name, value, path, false)
      checkFailover(check, managed.state, this.#isOwn, path)
      if (managed.config?.kind !== old.config?.kind)
        return check.fail(
          path,
          'the kind of a transport never changes; add another transport with addTransport()',
        )
      return managed
    })
  }

  #managed(name: string, value: unknown, path: string, resolved: boolean): ManagedTransport {
    return this.#toManaged(
      withEhloName(resolveTransport(check, name, value, path), this.#from),
      path,
      resolved,
    )
  }

  #toManaged(transport: ResolvedTransport, path: string, resolved: boolean): ManagedTransport {
    const { name, config, budget, failover, spread } = transport
    if (config.kind === 'spread')
      return { config: undefined, state: { name, budget, failover, ...(spread && { spread }) }, resolved }
    if (config.kind === 'inbox')
      return check.fail(
        path,
        'an inbox is configured when the mailer is created; it is not added or reloaded',
      )
    const { connections } = budget
    return {
      config: connections === undefined ? config : { ...config, connections },
      state: { name, budget, failover },
      resolved,
    }
  }

  #known(input: unknown, path: string): string {
    const name = check.string(input, path, 64)
    if (!this.#transports.has(name)) check.fail(path, 'there is no such transport')
    return name
  }
}
