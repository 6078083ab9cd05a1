import { isPrivateHost } from '../privateHosts.js'
import { isPlainObject, type Validator } from '../validation.js'
import type { ResolvedTransport } from './transportOptions.js'

/**
 * Confines a resolved transport to servers on the Internet, since its settings may come from a tenant: no file, no module, and
 * no host on this machine or a private network. The threads check the addresses that a host name resolves to when they
 * connect, and connect to exactly those.
 */
export function requirePublic(
  check: Validator,
  transport: ResolvedTransport,
  input: unknown,
  path: string,
): ResolvedTransport {
  const allowed = isPlainObject(input) && input['allowPrivateHosts'] === true
  const { config } = transport
  if (allowed) return transport
  const fail = (field: string, problem: string): never =>
    check.fail(`${path}.${field}`, `${problem}; set allowPrivateHosts if you trust these settings`)
  if (config.kind === 'file' || config.kind === 'plugin')
    return fail(
      config.kind === 'file' ? 'url' : 'module',
      'a resolved transport sends to servers on the Internet only',
    )
  if (config.kind === 'smtp') {
    if (isPrivateHost(config.host)) fail('url', 'its host is a private address')
    if (config.proxy !== undefined) fail('proxy', 'a proxy connects to addresses that are not checked')
  }
  if (config.kind === 'inbox' || config.kind === 'spread') return transport
  if (config.kind === 'ses')
    return config.endpoint === undefined ? transport : fail('endpoint', 'it is not checked')
  if ('endpoint' in config && isPrivateHost(new URL(config.endpoint).hostname))
    fail('endpoint', 'its host is a private address')
  if (config.kind === 'msgraph' && isPrivateHost(new URL(config.tokenEndpoint).hostname))
    fail('tokenEndpoint', 'its host is a private address')
  return { ...transport, config: { ...config, publicOnly: true } }
}
