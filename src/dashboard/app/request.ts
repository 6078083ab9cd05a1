/** The URL where the router is mounted, derived from the URL of this script. */
export const root = new URL('..', import.meta.url)

/** Returns the URL of another page, relative to {@link root}; '' if it isn't mounted. */
export function siteLink(name: 'home' | 'inbox'): string {
  return document.getElementById('app')?.dataset[name] ?? ''
}

/** Whether the mailer has webhooks. */
export function hasWebhooks(): boolean {
  return document.getElementById('app')?.dataset['webhooks'] === 'true'
}

/** An error response, with the detail that the server gave (RFC 9457). */
export class RequestError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    /** For `MISSING_DATA`: the missing paths. */
    readonly paths: readonly string[] = [],
  ) {
    super(message)
  }
}

/** The URL of a path below `dashboard/`. */
export function urlOf(path: string): string {
  return new URL(`dashboard/${path}`, root).href
}

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return request<T>(urlOf(path), signal === undefined ? {} : { signal })
}

export function post<T>(path: string, body: object = {}): Promise<T> {
  return request<T>(urlOf(path), withBody(body))
}

/** Calls an operation of the HTTP API, which is mounted beside the dashboard. */
export function callApi<T>(
  path: string,
  init: { method?: 'DELETE'; signal?: AbortSignal } | { body: object } = {},
): Promise<T> {
  return request<T>(new URL(path, root).href, 'body' in init ? withBody(init.body) : init)
}

function withBody(body: object): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

async function request<T>(url: string, init: RequestInit): Promise<T> {
  const response = await fetch(url, { ...init, credentials: 'same-origin' }).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new RequestError('Can’t reach the server.', 0, 'UNREACHABLE')
  })
  if (!response.ok) throw await requestErrorOf(response)
  return (response.status === 204 ? undefined : await response.json()) as T
}

async function requestErrorOf(response: Response): Promise<RequestError> {
  const problem = (await response.json().catch(() => ({}))) as {
    detail?: string
    code?: string
    paths?: string[]
  }
  const message =
    response.status === 401
      ? 'Your session has expired. Reload the page.'
      : (problem.detail ?? `The server responded with status ${response.status}.`)
  return new RequestError(message, response.status, problem.code ?? '', problem.paths)
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
