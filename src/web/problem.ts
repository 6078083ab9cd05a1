import type { ErrorRequestHandler, RequestHandler, Response } from 'express'
import { type ErrorCode, ThreadpostError } from '../index.js'

/** Error code of a problem: a code of the mailer, or one that exists over HTTP only. */
export type ProblemCode =
  | ErrorCode
  | 'MALFORMED_JSON'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'TOO_LARGE'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'MISDIRECTED_REQUEST'
  | 'UNREADABLE_BODY'
  | 'METHOD_NOT_ALLOWED'
  | 'REQUEST_TIMEOUT'
  | 'TOO_MANY_REQUESTS'

/** An error response (RFC 9457), with the code and the field. */
export interface Problem {
  type: 'about:blank'
  title: string
  status: number
  /** One sentence for people. */
  detail: string
  code: ProblemCode
  path?: string
  /** Every missing path, for `MISSING_DATA`. */
  paths?: readonly string[]
  /** The id of the message that may have been accepted, for `QUEUE_UNAVAILABLE` with `accepted`. */
  id?: string
  accepted?: 'unknown'
}

/** Fields that only some problems have. */
type Extra = Pick<Problem, 'path' | 'paths' | 'id' | 'accepted'>

const STATUS_OF: Record<ProblemCode, number> = {
  INVALID_OPTIONS: 500,
  INVALID_MESSAGE: 400,
  UNKNOWN_TEMPLATE: 400,
  MISSING_DATA: 400,
  TEMPLATE_ERROR: 400,
  REFUSED: 422,
  MALFORMED_JSON: 400,
  UNREADABLE_BODY: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  MISDIRECTED_REQUEST: 421,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  REQUEST_TIMEOUT: 408,
  CONFLICT: 409,
  IDEMPOTENCY_CONFLICT: 409,
  TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  TOO_MANY_REQUESTS: 429,
  START_FAILED: 500,
  UNSUPPORTED: 501,
  QUEUE_FULL: 503,
  QUEUE_UNAVAILABLE: 503,
  UNREADABLE: 503,
  CLOSED: 503,
  WAIT_TIMEOUT: 504,
}

const TITLES: Record<number, string> = {
  400: 'Bad request',
  401: 'Not authenticated',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Method not allowed',
  408: 'Request timeout',
  409: 'Conflict',
  413: 'Too large',
  415: 'Unsupported media type',
  429: 'Too many requests',
  421: 'Misdirected request',
  422: 'Refused',
  500: 'Internal error',
  501: 'Not supported',
  503: 'Unavailable',
  504: 'Timed out',
}

export function sendProblem(response: Response, code: ProblemCode, detail: string, fields: Extra = {}): void {
  respondWith(response, newProblem(code, detail, fields))
}

export function respondWith(response: Response, problem: Problem): void {
  if (problem.status === 503) response.set('Retry-After', '1')
  response.status(problem.status).type('application/problem+json').send(JSON.stringify(problem))
}

/** Converts an error of the mailer to a problem. */
export function problemOf(error: ThreadpostError): Problem {
  return newProblem(error.code, error.message, extraOf(error))
}

function extraOf({ path, paths, id, accepted }: ThreadpostError): Extra {
  return {
    ...(path === undefined ? {} : { path }),
    ...(paths === undefined ? {} : { paths }),
    ...(accepted === undefined || id === undefined ? {} : { id, accepted }),
  }
}

export function newProblem(code: ProblemCode, detail: string, fields: Extra = {}): Problem {
  const status = STATUS_OF[code]
  return { type: 'about:blank', title: TITLES[status] ?? 'Error', status, detail, code, ...fields }
}

/** An `INVALID_MESSAGE` error for a field of a request. */
export function invalid(path: string, why: string): ThreadpostError {
  return new ThreadpostError('INVALID_MESSAGE', `${path}: ${why}`, { path })
}

const NOT_FOUND = 'Nothing exists at this URL.'

/** Responds to requests that no route matches. */
export const notFound: RequestHandler = (_request, response) => {
  sendProblem(response, 'NOT_FOUND', NOT_FOUND)
}

/** Responds to known errors with problems. Others are passed on to the host, which logs them in its own way. */
export const problemHandler: ErrorRequestHandler = (error: unknown, _request, response, next) => {
  if (response.headersSent) {
    next(error)
    return
  }
  if (error instanceof ThreadpostError) {
    respondWith(response, problemOf(error))
    return
  }
  const [code, detail] = bodyProblem(error) ?? []
  if (code === undefined || detail === undefined) next(error)
  else sendProblem(response, code, detail)
}

/** Logs a defect; the client receives no details. */
export const unexpected: ErrorRequestHandler = (error: unknown, request, response, next) => {
  process.emitWarning(
    `${request.method} ${request.path} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    'ThreadpostWarning',
  )
  if (response.headersSent) next(error)
  else response.status(500).json({ type: 'about:blank', title: 'Internal error', status: 500 })
}

/** Converts errors of body-parser. */
function bodyProblem(error: unknown): [ProblemCode, string] | undefined {
  const type = error instanceof Error && 'type' in error ? error.type : undefined
  switch (type) {
    case 'entity.parse.failed':
      return ['MALFORMED_JSON', 'The body is not valid JSON.']
    case 'entity.too.large':
      return ['TOO_LARGE', 'The body is larger than this server accepts.']
    case 'encoding.unsupported':
    case 'charset.unsupported':
      return [
        'UNSUPPORTED_MEDIA_TYPE',
        'The body must be JSON in UTF-8, uncompressed or compressed with gzip.',
      ]
    case 'request.aborted':
    case 'request.size.invalid':
      return ['UNREADABLE_BODY', 'The body arrived incomplete.']
    default:
      return clientProblem(error instanceof Error && 'status' in error ? error.status : undefined)
  }
}

/** Converts errors of Express: a missing file, an undecodable path, a body that can't be decompressed. */
function clientProblem(status: unknown): [ProblemCode, string] | undefined {
  if (status === 404) return ['NOT_FOUND', NOT_FOUND]
  if (typeof status !== 'number' || status < 400 || status >= 500) return undefined
  return ['UNREADABLE_BODY', 'The request could not be read.']
}
