import { DEFAULT_TRANSPORT } from '../protocol/transportConfig.js'
import { isPlainObject, type Validator } from '../validation.js'
import { checkFailover, resolveTransport, type ResolvedTransport } from './transportOptions.js'

/** Checks the name of a transport that the application adds. */
export function checkTransportName(check: Validator, name: unknown, path: string): string {
  const text = check.string(name, path, MAX_NAME)
  if (!/^[A-Za-z0-9][\w.:@/-]*$/.test(text))
    check.fail(
      path,
      'a name consists of letters, digits, dots, colons, slashes, dashes, underscores, and @, and begins with a letter or a digit',
    )
  return text
}

/** Characters of a transport's name, at most. */
export const MAX_NAME = 64

/** Resolves the options of a mailer's transports: one, or several by name, of which the first is the default. */
export function resolveTransports(
  check: Validator,
  { transport, transports, resolveTransport: resolveByName }: Record<string, unknown>,
  role: 'both' | 'send' | 'deliver',
): ResolvedTransport[] {
  if (transport !== undefined && transports !== undefined)
    check.fail('transports', 'give either transport or transports, not both')
  if (transport !== undefined) {
    const only = resolveTransport(check, DEFAULT_TRANSPORT, transport, 'transport')
    checkFailover(check, only, (name) => name === DEFAULT_TRANSPORT, 'transport')
    return [only]
  }
  if (transports === undefined && (role === 'send' || resolveByName !== undefined)) return []
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
  const names = new Set(all.map(({ name }) => name))
  for (const each of all) checkFailover(check, each, (name) => names.has(name), `transports.${each.name}`)
  return all
}
