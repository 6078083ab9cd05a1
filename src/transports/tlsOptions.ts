import { isLoopback } from '../loopback.js'
import type { SmtpTransport, TlsOptions } from '../protocol/transportConfig.js'
import type { Validator } from '../validation.js'

/** Resolves whether STARTTLS is required, used where it is offered, or ignored. */
export function starttlsOf(
  check: Validator,
  { requireTLS, ignoreTLS }: Record<string, unknown>,
  path: string,
  { host, secure }: { host: string; secure: boolean },
): Pick<SmtpTransport, 'requireTLS' | 'ignoreTLS'> {
  const ignored = check.boolean(ignoreTLS ?? false, `${path}.ignoreTLS`)
  if (!ignored) return { requireTLS: check.boolean(requireTLS ?? !isLoopback(host), `${path}.requireTLS`) }
  if (secure) check.fail(`${path}.ignoreTLS`, 'contradicts smtps:, which uses TLS from the start')
  if (requireTLS === true) check.fail(`${path}.ignoreTLS`, 'contradicts requireTLS')
  return { requireTLS: false, ignoreTLS: true }
}

export function tlsOf(check: Validator, value: unknown, path: string): TlsOptions {
  const given = check.object(value, path, ['rejectUnauthorized', 'ca', 'servername', 'minVersion'])
  const tls: TlsOptions = { minVersion: 'TLSv1.2' }
  if (given['rejectUnauthorized'] !== undefined)
    tls.rejectUnauthorized = check.boolean(given['rejectUnauthorized'], `${path}.rejectUnauthorized`)
  if (given['servername'] !== undefined)
    tls.servername = check.string(given['servername'], `${path}.servername`)
  if (given['minVersion'] !== undefined)
    tls.minVersion = check.oneOf(given['minVersion'], `${path}.minVersion`, ['TLSv1.2', 'TLSv1.3'])
  const ca = given['ca']
  if (Array.isArray(ca)) tls.ca = ca.map((pem, index) => check.string(pem, `${path}.ca[${index}]`))
  else if (ca !== undefined) tls.ca = check.string(ca, `${path}.ca`)
  return tls
}
