import { Agent as PlainAgent, request as requestPlain } from 'node:http'
import { Agent as SecureAgent, request as requestSecure } from 'node:https'
import { isPrivateHost, lookUpPublic, privateHost } from '../../src/privateHosts.js'

/** A request to a mail service's API. */
export interface ApiRequest {
  method?: 'GET' | 'POST'
  url: string
  headers: Record<string, string>
  body?: string | Buffer
  /** Characters of the response that are read, at most. @default 65,536 */
  responseLimit?: number
}

export interface ApiResponse {
  status: number
  /** The value of a header, by its name in lower case. */
  header: (name: string) => string | undefined
  /** The beginning of the body; empty if it was cut off. */
  text: string
}

/**
 * The connections of requests to public hosts. An agent doesn't know how a connection's host was looked up, so that another
 * agent could hand out one to a private host.
 */
const AGENT_OPTIONS = { keepAlive: true, scheduling: 'lifo', timeout: 5_000 } as const
const publicPlain = new PlainAgent(AGENT_OPTIONS)
const publicSecure = new SecureAgent(AGENT_OPTIONS)

/** Characters of a response that are read, unless the request sets another limit. */
const RESPONSE_LIMIT = 64 * 1024

/**
 * Sends a request, and follows no redirect. Rejects with the error of `fetch` or of the connection.
 * @param publicOnly connect to public addresses only: see {@link lookUpPublic}
 */
export function callApi(request: ApiRequest, signal: AbortSignal, publicOnly = false): Promise<ApiResponse> {
  return publicOnly ? callPublic(request, signal) : callAny(request, signal)
}

async function callAny(
  { method, url, headers, body, responseLimit = RESPONSE_LIMIT }: ApiRequest,
  signal: AbortSignal,
): Promise<ApiResponse> {
  const response = await fetch(url, {
    method: method ?? (body === undefined ? 'GET' : 'POST'),
    headers,
    redirect: 'manual',
    signal,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) }),
  })
  return {
    status: response.status,
    header: (name) => response.headers.get(name) ?? undefined,
    text: await beginningOf(response, responseLimit),
  }
}

/** Reads no more than it returns: a body may have no end, or be tiny before it is decompressed. */
async function beginningOf({ body }: Response, limit: number): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  try {
    for await (const chunk of body ?? []) {
      text += decoder.decode(chunk, { stream: true })
      if (text.length >= limit) break
    }
  } catch {
    // The status decides the result, even if the rest of the response is cut off.
    return ''
  }
  return text.slice(0, limit)
}

/** `fetch` can't be told which address to connect to. */
function callPublic(
  { method, url, headers, body, responseLimit = RESPONSE_LIMIT }: ApiRequest,
  signal: AbortSignal,
): Promise<ApiResponse> {
  const { hostname, protocol } = new URL(url)
  return new Promise((resolve, reject) => {
    if (isPrivateHost(hostname)) {
      reject(privateHost(hostname))
      return
    }
    const secure = protocol === 'https:'
    const open = secure ? requestSecure : requestPlain
    const sent = open(url, {
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      headers: { ...headers, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) },
      agent: secure ? publicSecure : publicPlain,
      lookup: lookUpPublic,
      signal,
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      let text = ''
      const end = (): void =>
        resolve({
          status: response.statusCode ?? 0,
          header: (name) => {
            const value = response.headers[name]
            return Array.isArray(value) ? value[0] : value
          },
          text,
        })
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text = (text + chunk).slice(0, responseLimit)
        if (text.length < responseLimit) return
        end()
        response.destroy()
      })
      response.on('end', end)
      response.on('error', end)
    })
    sent.end(body)
  })
}
