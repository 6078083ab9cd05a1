import type { Request } from 'express'

/**
 * Which page a request comes from, as the browser tells: this site's, another's, or unknown where no browser says
 * anything. Sec-Fetch-Site (W3C Fetch Metadata) is what the browser itself found out; it is sent over https and to
 * loopback. Elsewhere Origin (RFC 6454) is compared with the host that was asked.
 */
export function originOf(request: Request): 'same' | 'foreign' | 'unknown' {
  const site = request.get('Sec-Fetch-Site')
  if (site !== undefined) return site === 'same-origin' || site === 'none' ? 'same' : 'foreign'
  const origin = request.get('Origin')
  if (origin === undefined) return 'unknown'
  // A proxy may have put its own name in place of the host; a foreign page can't set either header.
  const hosts = [request.get('Host'), request.get('X-Forwarded-Host')?.split(',')[0]?.trim()]
  const host = hostOf(origin)
  return host !== undefined && hosts.includes(host) ? 'same' : 'foreign'
}

/** Whether the method changes nothing (RFC 9110 section 9.2.1). */
export function isSafe({ method }: Request): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

/** Undefined for `null`, which sandboxed pages send. */
function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}
