import { isLoopback } from '../loopback.js'
import type { Validator } from '../validation.js'

/** Returns the origin of an API. It must be https, so that credentials never cross a network unencrypted. */
export function originOf(check: Validator, value: unknown, at: string): string {
  const text = check.string(value, at)
  if (!URL.canParse(text)) check.fail(at, "is not a URL such as 'https://api.example.com'")
  const { protocol, hostname, origin, pathname } = new URL(text)
  const safe = protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))
  if (!safe) check.fail(at, 'must be https, or http on this machine')
  if (pathname !== '/') check.fail(at, 'must end after the host and port')
  return origin
}
