import { type Checker, isPlainObject } from '../check.js'
import { checkFailover, resolveTransport, type TransportPlan } from './transport.js'

/** What the transport is called that is given as `transport`. */
const ONLY = 'default'

/** The transports of a mailer: one, or several by name of which the first is the default. */
export function resolveTransports(
  check: Checker,
  { transport, transports }: Record<string, unknown>,
  role: 'both' | 'send' | 'deliver',
): TransportPlan[] {
  if (transport !== undefined && transports !== undefined)
    check.fail('transports', 'give either transport or transports, not both')
  if (transport !== undefined) {
    const only = resolveTransport(check, ONLY, transport, 'transport')
    checkFailover(check, only, [ONLY], 'transport')
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
