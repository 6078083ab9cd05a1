/**
 * Every code a {@link ThreadpostError} can carry. Codes are stable: compare them, not messages.
 * `.ci/reference.mjs` writes the table in src/README.md from these docstrings.
 */
export type ErrorCode =
  /**
   * An option of the mailer, a router or the command is wrong, unknown or missing; `path` names it. Thrown at the start, so
   * nothing was sent.
   * @remedy Correct the option.
   */
  | 'INVALID_OPTIONS'
  /**
   * A mail can't be sent as it is: an address, a header, an attachment or its size; `path` names the field. It was not accepted.
   * @remedy Correct the field; where it came from a form, tell who filled it in. The same mail is refused again.
   */
  | 'INVALID_MESSAGE'
  /**
   * There is no template of this name in the folder.
   * @remedy Correct the name, or add the file; let `threadpost types` find such names before they run.
   */
  | 'UNKNOWN_TEMPLATE'
  /**
   * Data that the template needs is absent or undefined; `paths` lists all of it.
   * @remedy Give it, or guard it in the template with `{{#if}}`.
   */
  | 'MISSING_DATA'
  /**
   * Your own `intercept` refused the mail; the message says why.
   * @remedy What your reason asks for.
   */
  | 'REFUSED'
  /**
   * A template doesn't parse or render, or a module of its helpers fails; `location` has file, line and column.
   * @remedy Mend the template: `threadpost check` finds all of them.
   */
  | 'TEMPLATE_ERROR'
  /**
   * `limits.queue` messages wait already. The mail was not accepted.
   * @remedy Send it later, or look why mail doesn't go out: `stats()`, the dashboard, `threadpost doctor`.
   */
  | 'QUEUE_FULL'
  /**
   * The queue can't store anything just now: the disk is full, Redis is away. The mail was not accepted.
   * @remedy Send it later; it works again when the disk or Redis does. Redis may have a `spool`.
   */
  | 'QUEUE_UNAVAILABLE'
  /**
   * The idempotency key, or the id of the prepared mail, belongs to another mail. The mail was not accepted.
   * @remedy Use a new key for a new mail, and prepare it anew.
   */
  | 'IDEMPOTENCY_CONFLICT'
  /**
   * The message is in a state that doesn't allow it: cancelling what was sent, retrying what waits.
   * @remedy Look at it with `find(id)`; mostly there is nothing to do.
   */
  | 'CONFLICT'
  /**
   * There is no message of this id: it never was, or `retain` has dropped it.
   * @remedy Check the id; keep settled messages for longer with `retain`.
   */
  | 'NOT_FOUND'
  /**
   * The message was not settled within the time given to `wait()`; `id` names it. It goes on by itself.
   * @remedy Don't send it again: wait on, or listen to events.
   */
  | 'WAIT_TIMEOUT'
  /**
   * The mailer can't start: a folder, a module, the queue's file, Redis, or the files of its threads (in a bundle).
   * @remedy The message says what is in the way; `threadpost doctor` looks at all of it.
   */
  | 'START_FAILED'
  /**
   * This queue or this `role` can't do it.
   * @remedy Do it where it can be done, as the message says.
   */
  | 'UNSUPPORTED'
  /**
   * The mailer was closed. What it had accepted stays in a durable queue.
   * @remedy Send before `close()`, or with another mailer.
   */
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
