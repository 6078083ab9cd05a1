import http from 'node:http'
import https from 'node:https'
import { isPrivateHost, lookUpPublic, privateHost } from '../privateHosts.js'
import { isPlainObject } from '../validation.js'

export interface FetchOptions {
  /** Extra request headers. They are not sent to another origin after a redirect. */
  headers: Record<string, string>
  /** How the server's certificate is checked. */
  tls: FetchTls
  allowPrivateHosts: boolean
  signal: AbortSignal
}

export type FetchTls = Pick<https.RequestOptions, (typeof TLS_FIELDS)[number]>

/** The fields of `tls` that are used. No other can name a host, a socket, or a lookup. */
const TLS_FIELDS = [
  'ca',
  'cert',
  'key',
  'passphrase',
  'rejectUnauthorized',
  'servername',
  'minVersion',
] as const
const MAX_REDIRECTS = 5

/** Picks the known fields of nodemailer's `tls`. */
export function tlsFieldsOf(value: unknown): FetchTls {
  if (!isPlainObject(value)) return {}
  return Object.fromEntries(TLS_FIELDS.flatMap((field) => (field in value ? [[field, value[field]]] : [])))
}

/** A response that is about to be read. */
export interface Fetched {
  body: http.IncomingMessage
  /** Media type without parameters, if the server sent one. */
  contentType: string | undefined
  close(): void
}

/**
 * Requests a URL over HTTP or HTTPS, and follows at most {@link MAX_REDIRECTS} redirects. Each connection is checked: a
 * name that resolves to a private address is not connected to.
 */
export async function fetchContent(url: string, options: FetchOptions): Promise<Fetched> {
  let { headers } = options
  let target = parse(url)
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const response = await request(target, headers, options)
    const { statusCode = 0 } = response
    const { location } = response.headers
    if (statusCode >= 300 && statusCode < 400 && location !== undefined) {
      response.destroy()
      const next = parse(location, target)
      if (next.origin !== target.origin) headers = {}
      target = next
      continue
    }
    if (statusCode !== 200) {
      response.destroy()
      throw new Error(`the server answered with status ${statusCode}`)
    }
    if ((response.headers['content-encoding'] ?? 'identity') !== 'identity') {
      response.destroy()
      throw new Error('the server compressed the response, which was not requested')
    }
    return {
      body: response,
      contentType: response.headers['content-type']?.split(';')[0]?.trim(),
      close: () => response.destroy(),
    }
  }
  throw new Error(`the server redirected more than ${MAX_REDIRECTS} times`)
}

function parse(text: string, base?: URL): URL {
  if (!URL.canParse(text, base?.href)) throw new Error('the address is not a URL')
  const url = new URL(text, base)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Error('the URL is not http: or https:')
  return url
}

function request(
  url: URL,
  headers: Record<string, string>,
  { tls, allowPrivateHosts, signal }: FetchOptions,
): Promise<http.IncomingMessage> {
  if (!allowPrivateHosts && isPrivateHost(url.hostname)) throw privateHost(url.hostname)
  const { get } = url.protocol === 'https:' ? https : http
  return new Promise((resolve, reject) => {
    get(
      url,
      {
        ...tls,
        agent: false,
        signal,
        headers: { ...headers, 'accept-encoding': 'identity' },
        ...(allowPrivateHosts ? {} : { lookup: lookUpPublic }),
      },
      resolve,
    ).on('error', reject)
  })
}
