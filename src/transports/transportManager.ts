import type { Dispatcher } from '../delivery/dispatcher.js'
import { DEFAULT_TRANSPORT, type TransportConfig, type TransportReport } from '../protocol/transportConfig.js'
import type { TemplateReload } from '../templates/templateOptions.js'
import type { Runner } from '../threads/runner.js'
import { Validator, isPlainObject } from '../validation.js'
import { checkDkimRecord } from './dkimRecord.js'
import {
  checkFailover,
  resolveTransport,
  type TransportInput,
  type ResolvedTransport,
} from './transportOptions.js'

/** What {@link Mailer.reload} takes: other settings for transports there are, or for the templates. */
export interface ReloadOptions {
  /** What `@app` reads, and the application's modules; `{}` runs these anew. Not together with transports. */
  templates?: TemplateReload
  /** For the default transport. */
  transport?: TransportInput
  /** By name. Those left out stay as they are. */
  transports?: Record<string, TransportInput>
}

interface Fresh {
  plan: ResolvedTransport
  config: TransportConfig
}

const check: Validator = new Validator('INVALID_OPTIONS')

/** The transports of a mailer: tried, and given other settings, while mail goes out. */
export class TransportManager {
  readonly #runner: Runner
  readonly #dispatcher: Dispatcher
  #transports: readonly TransportConfig[]

  constructor(transports: readonly TransportConfig[], runner: Runner, dispatcher: Dispatcher) {
    this.#transports = transports
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
    const fresh = this.#resolve(check.object(input, '', ['transport', 'transports']))
    this.#transports = this.#transports.map((old) => fresh.get(old.name)?.config ?? old)
    await this.#runner.reloadTransports(this.#transports)
    for (const { plan } of fresh.values()) this.#dispatcher.reloaded(plan)
  }

  #resolve({ transport, transports }: Record<string, unknown>): Map<string, Fresh> {
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
          check.fail(path, `there is no such transport; there are ${names.join(', ')}`)
        const plan = resolveTransport(check, name, value, path)
        checkFailover(check, plan, names, path)
        const { config, budget } = plan
        if (config.kind === 'inbox') return check.fail(path, 'an inbox can only be set up at the start')
        if (config.kind !== this.#transports.find((old) => old.name === name)?.kind)
          return check.fail(path, 'a transport stays of its kind; name the other one at the start')
        const { connections } = budget
        return [name, { plan, config: connections === undefined ? config : { ...config, connections } }]
      }),
    )
  }
}

/** The transports of a mailer: one, or several by name of which the first is the default. */
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
      "is required: a URL such as 'smtp://user:pass@host:587', or 'inbox:' to try things out",
    )
  if (!isPlainObject(transports) || Object.keys(transports).length === 0)
    check.fail('transports', 'must be an object of at least one transport by name')
  const plans = Object.entries(transports).map(([name, spec]) => {
    if (!/^[A-Za-z0-9][\w.-]{0,63}$/.test(name))
      check.fail(`transports.${name}`, 'a name is letters, digits, dot, dash and underscore, at most 64')
    return resolveTransport(check, name, spec, `transports.${name}`)
  })
  const names = plans.map(({ name }) => name)
  for (const plan of plans) checkFailover(check, plan, names, `transports.${plan.name}`)
  return plans
}
