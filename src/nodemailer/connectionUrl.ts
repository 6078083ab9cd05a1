import type { Checker } from '../check.js'

/** A URL may carry options: `smtps://user:pass@host/?pool=true&tls.rejectUnauthorized=false`. */
export function optionsOfUrl(value: unknown, check: Checker): Record<string, unknown> {
  const text = check.string(value, 'url')
  if (!URL.canParse(text)) check.fail('url', "is not a URL such as 'smtp://user:pass@host:587'")
  const url = new URL(text)
  const options: Record<string, unknown> = { secure: url.protocol === 'smtps:' }
  if (url.protocol === 'direct:') options['direct'] = true
  if (url.hostname !== '') options['host'] = url.hostname.replace(/^\[|\]$/g, '')
  if (url.port !== '') options['port'] = Number(url.port)
  if (url.username !== '' || url.password !== '')
    options['auth'] = { user: decoded(url.username, check), pass: decoded(url.password, check) }
  const tls: Record<string, unknown> = {}
  for (const [key, text] of url.searchParams) {
    if (key.startsWith('tls.')) tls[key.slice('tls.'.length)] = typed(text)
    else options[key] = typed(text)
  }
  if (Object.keys(tls).length > 0) options['tls'] = tls
  return options
}

function decoded(part: string, check: Checker): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return check.fail('url', 'user or password is not percent-encoded correctly (a % must be written %25)')
  }
}

function typed(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true'
  return text !== '' && !Number.isNaN(Number(text)) ? Number(text) : text
}
