import type { Dispatcher } from '../delivery/dispatcher.js'
import { DEFAULT_TRANSPORT, type TransportConfig, type TransportReport } from '../protocol/transportConfig.js'
import type { TemplateReload } from '../templates/templateOptions.js'
import type { Runner } from '../threads/runner.js'
import { Validator, isPlainObject } from '../validation.js'
import { checkDkimRecord } from './dkimRecord.js'
import { withEhloName } from './machineName.js'
import {
  checkFailover,
  resolveTransport,
  type TransportInput,
  type ResolvedTransport,
} from './transportOptions.js'
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

interface ReloadedTransport {
  resolved: ResolvedTransport
  config: TransportConfig
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

/** Tests a mailer's transports, and gives them new settings, while mail goes out. */
export class TransportManager {
  readonly #runner: Runner
  readonly #dispatcher: Dispatcher
  readonly #from: string | undefined
  /** As the options say. */
  #transports: readonly TransportConfig[]
  readonly #states: Map<string, TransportStateOptions>
  #changes: ReadonlyMap<string, TransportChange> = new Map()

  /**
   * @param states how the dispatcher knows the transports
   * @param from the address of the mailer's `from`
   */
  constructor(
    transports: readonly TransportConfig[],
    states: readonly TransportStateOptions[],
    runner: Runner,
    dispatcher: Dispatcher,
    from: string | undefined,
  ) {
    this.#transports = transports
    this.#states = new Map(states.map((state) => [state.name, state]))
    this.#from = from
    this.#runner = runner
    this.#dispatcher = dispatcher
  }

  async verify(input: unknown): Promise<TransportReport> {
    const names = this.#transports.map((transport) => transport.name)
    const name = check.oneOf(input ?? names[0], 'transport', names)
    const config = this.#transports.find((transport) => transport.name === name)
    const keys = config !== undefined && 'dkim' in config ? config.dkim : undefined
    const [report, dkim] = await Promise.all([
      this.#runner.verify(name),
      keys && Promise.all(keys.map((key) => checkDkimRecord(key))),
    ])
    return dkim === undefined ? report : { ...report, dkim }
  }

  async reload(input: unknown): Promise<void> {
    const reloaded = this.#resolve(check.object(input, '', ['transport', 'transports']))
    this.#transports = this.#transports.map((old) => reloaded.get(old.name)?.config ?? old)
    await this.#runner.reloadTransports(this.#changedTransports())
    for (const { resolved } of reloaded.values()) {
      this.#states.set(resolved.name, resolved)
      this.#dispatcher.reloaded(this.#changedState(resolved))
    }
  }

  /** Names of the transports; none in a process that only sends. */
  get names(): string[] {
    return this.#transports.map(({ name }) => name)
  }

  /** Applies the changes of all transports, in place of earlier ones. */
  async change(changes: ReadonlyMap<string, TransportChange>): Promise<void> {
    const before = this.#changes
    this.#changes = changes
    const differs = (key: keyof TransportChange) =>
      this.names.filter((name) => before.get(name)?.[key] !== changes.get(name)?.[key])
    if (differs('concurrency').length > 0) await this.#runner.reloadTransports(this.#changedTransports())
    for (const name of differs('rate')) {
      const state = this.#states.get(name)
      if (state !== undefined) this.#dispatcher.limited(this.#changedState(state))
    }
    for (const name of this.names) this.#dispatcher.changed(name, changes.get(name) ?? {})
  }

  #changedTransports(): TransportConfig[] {
    return this.#transports.map((config) => {
      const { concurrency } = this.#changes.get(config.name) ?? {}
      return concurrency === undefined ? config : { ...config, connections: concurrency }
    })
  }

  #changedState(state: TransportStateOptions): TransportStateOptions {
    const { rate } = this.#changes.get(state.name) ?? {}
    return rate === undefined ? state : { ...state, budget: { ...state.budget, rate } }
  }

  #resolve({ transport, transports }: Record<string, unknown>): Map<string, ReloadedTransport> {
    if ((transport === undefined) === (transports === undefined))
      check.fail('transport', 'give either transport or transports')
    if (transports !== undefined && !isPlainObject(transports))
      check.fail('transports', 'must be an object of transports by name')
    const names = this.#transports.map(({ name }) => name)
    const given = isPlainObject(transports)
      ? Object.entries(transports)
      : [[names[0] ?? '', transport] as const]
    return new Map(
      given.map(([name, value]) => {
        const path = transports === undefined ? 'transport' : `transports.${name}`
        if (!names.includes(name))
          check.fail(path, `there is no such transport; the transports are ${names.join(', ')}`)
        const resolved = withEhloName(resolveTransport(check, name, value, path), this.#from)
        checkFailover(check, resolved, names, path)
        const { config, budget } = resolved
        if (config.kind === 'inbox')
          return check.fail(path, "an inbox can't be reloaded; configure it when you create the mailer")
        if (config.kind !== this.#transports.find((old) => old.name === name)?.kind)
          return check.fail(
            path,
            'the kind of a transport never changes; configure another transport when you create the mailer',
          )
        const { connections } = budget
        return [name, { resolved, config: connections === undefined ? config : { ...config, connections } }]
      }),
    )
  }
}

/** Resolves the options of a mailer's transports: one, or several by name, of which the first is the default. */
export function resolveTransports(
  check: Validator,
  { transport, transports }: Record<string, unknown>,
  role: 'both' | 'send' | 'deliver',
): ResolvedTransport[] {
  if (transport !== undefined && transports !== undefined)
    check.fail('transports', 'give either transport or transports, not both')
  if (transport !== undefined) {
    const only = resolveTransport(check, DEFAULT_TRANSPORT, transport, 'transport')
    checkFailover(check, only, [DEFAULT_TRANSPORT], 'transport')
    return [only]
  }
  if (transports === undefined && role === 'send') return []
  if (transports === undefined)
    check.fail(
      'transport',
      "is required: a URL such as 'smtp://user:pass@host:587', or 'inbox:' to try threadpost without a mail server",
    )
  if (!isPlainObject(transports) || Object.keys(transports).length === 0)
    check.fail('transports', 'must be an object of at least one transport by name')
  const all = Object.entries(transports).map(([name, spec]) => {
    if (!/^[A-Za-z0-9][\w.-]{0,63}$/.test(name))
      check.fail(
        `transports.${name}`,
        'a name consists of at most 64 letters, digits, dots, dashes, and underscores',
      )
    return resolveTransport(check, name, spec, `transports.${name}`)
  })
  const names = all.map(({ name }) => name)
  for (const each of all) checkFailover(check, each, names, `transports.${each.name}`)
  return all
}
