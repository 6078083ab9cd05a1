import { isPrivateHost } from '../privateHosts.js'
import { isPlainObject, type Validator } from '../validation.js'
import type { ResolvedTransport } from './transportOptions.js'

function isTrusted(input: unknown): boolean {
  return isPlainObject(input) && input['allowPrivateHosts'] === true
}

function failure(check: Validator, path: string): (field: string, problem: string) => never {
  return (field, problem) =>
    check.fail(`${path}.${field}`, `${problem}; set allowPrivateHosts if you trust these settings`)
}

/**
 * Confines the settings of a resolved transport to what is the tenant's own: no file with a key, and no other transport. It is
 * called before they are read, since reading opens files.
 */
export function requireOwn(check: Validator, input: unknown, path: string): void {
  if (!isPlainObject(input) || isTrusted(input)) return
  const fail = failure(check, path)
  for (const field of ['failover', 'spread'])
    if (input[field] !== undefined)
      fail(field, "it would send the mail over the application's own transports")
  const { dkim } = input
  const keys: readonly unknown[] = Array.isArray(dkim) ? dkim : [dkim]
  for (const key of keys)
    if (isPlainObject(key) && key['keyFile'] !== undefined)
      fail('dkim.keyFile', 'files on this machine are not read: pass the key as privateKey')
}

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
  const { config } = transport
  if (isTrusted(input)) return transport
  const fail = failure(check, path)
  if (config.kind === 'file' || config.kind === 'plugin')
    return fail(
      config.kind === 'file' ? 'url' : 'module',
      'a resolved transport sends to servers on the Internet only',
    )
  if (config.kind === 'smtp') {
    if (isPrivateHost(config.host)) fail('url', 'its host is a private address')
    if (config.proxy !== undefined) fail('proxy', 'a proxy connects to addresses that are not checked')
    const grant = config.auth !== undefined && 'oauth2' in config.auth ? config.auth.oauth2.grant : undefined
    if (grant !== undefined && isPrivateHost(new URL(grant.tokenEndpoint).hostname))
      fail('auth.tokenEndpoint', 'its host is a private address')
  }
  if (config.kind === 'inbox' || config.kind === 'spread') return transport
  if (config.kind === 'ses') {
    if (config.endpoint !== undefined) fail('endpoint', 'it is not checked')
    if (config.credentials === undefined)
      fail('credentials', 'without them, the mail would be sent from the account of this process')
    // The region is a part of the host's name.
    if (config.region !== undefined && !/^[a-z0-9-]+$/.test(config.region))
      fail('region', "is not a name such as 'eu-central-1'")
    return transport
  }
  if ('endpoint' in config && isPrivateHost(new URL(config.endpoint).hostname))
    fail('endpoint', 'its host is a private address')
  if (config.kind === 'msgraph' && isPrivateHost(new URL(config.tokenEndpoint).hostname))
    fail('tokenEndpoint', 'its host is a private address')
  return { ...transport, config: { ...config, publicOnly: true } }
}
