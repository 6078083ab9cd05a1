/** Every code a {@link ThreadpostError} can carry. Codes are stable: compare them, not messages. */
export type ErrorCode =
  | 'INVALID_OPTIONS'
  | 'INVALID_MESSAGE'
  | 'UNKNOWN_TEMPLATE'
  | 'MISSING_DATA'
  | 'REFUSED'
  | 'TEMPLATE_ERROR'
  | 'QUEUE_FULL'
  | 'QUEUE_UNAVAILABLE'
  | 'IDEMPOTENCY_CONFLICT'
  | 'CONFLICT'
  | 'NOT_FOUND'
  | 'WAIT_TIMEOUT'
  | 'START_FAILED'
  | 'UNSUPPORTED'
  | 'CLOSED'

export interface ErrorDetails {
  /** The field that is wrong, as one would write it in code: `to[1]`, `attachments[0].filename`. */
  path?: string
  /** Every absent path, for `MISSING_DATA`. */
  paths?: readonly string[]
  /** The message it is about, for `WAIT_TIMEOUT`. */
  id?: string
  /** Where a template is wrong, for `TEMPLATE_ERROR`. */
  location?: SourceLocation
  cause?: unknown
}

/** A place in a template: 1-based line and column. */
export interface SourceLocation {
  file: string
  line?: number
  column?: number
  /** The line itself, cut to 200 characters. */
  excerpt?: string
}

/**
 * What threadpost throws at its callers. The message says what is wrong and what to do;
 * it never contains a password, a token or the mail's data.
 */
export class ThreadpostError extends Error {
  override readonly name = 'ThreadpostError'
  readonly code: ErrorCode
  declare readonly path?: string
  declare readonly paths?: readonly string[]
  declare readonly location?: SourceLocation
  declare readonly id?: string

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    if (details.path !== undefined) this.path = details.path
    if (details.paths !== undefined) this.paths = details.paths
    if (details.location !== undefined) this.location = details.location
    if (details.id !== undefined) this.id = details.id
  }
}
