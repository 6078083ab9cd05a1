/** Where the router is mounted, told by where this script was loaded from. */
export const root = new URL('..', import.meta.url)

/** What the server refused, in its own words (RFC 9457). */
export class RequestError extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string,
    /** Absent paths, for `MISSING_DATA`. */
    readonly paths: readonly string[] = [],
  ) {
    super(message)
  }
}

/** The address of something below `dashboard/`. */
export function addressOf(path: string): string {
  return new URL(`dashboard/${path}`, root).href
}

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return ask<T>(path, signal === undefined ? {} : { signal })
}

export function post<T>(path: string, body: object = {}): Promise<T> {
  const headers = { 'content-type': 'application/json' }
  return ask<T>(path, { method: 'POST', headers, body: JSON.stringify(body) })
}

async function ask<T>(path: string, init: RequestInit): Promise<T> {
  const response = await fetch(addressOf(path), { ...init, credentials: 'same-origin' }).catch(
    (error: unknown) => {
      if (error instanceof DOMException && error.name === 'AbortError') throw error
      throw new RequestError('The server can’t be reached.', 0, 'UNREACHABLE')
    },
  )
  if (!response.ok) throw await refusalOf(response)
  return (response.status === 204 ? undefined : await response.json()) as T
}

async function refusalOf(response: Response): Promise<RequestError> {
  const problem = (await response.json().catch(() => ({}))) as {
    detail?: string
    code?: string
    paths?: string[]
  }
  const message =
    response.status === 401
      ? 'You are no longer logged in. Load the page again.'
      : (problem.detail ?? `The server answered ${response.status}.`)
  return new RequestError(message, response.status, problem.code ?? '', problem.paths)
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
