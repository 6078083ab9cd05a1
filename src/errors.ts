/**
 * Every code that a {@link ThreadpostError} can have. Codes are stable: compare codes, not messages.
 * `.ci/reference.mjs` writes the table in src/README.md from these docstrings.
 */
export type ErrorCode =
  /**
   * An option of the mailer, a router or the command is invalid, unknown or missing; `path` names it. Thrown on startup,
   * before anything is sent.
   * @remedy Correct the option.
   */
  | 'INVALID_OPTIONS'
  /**
   * The mail is invalid: an address, a header, an attachment or the size; `path` names the field. The mail was not accepted.
   * @remedy Correct the field, or show the error to the user if the value comes from a form. Sending the same mail again fails again.
   */
  | 'INVALID_MESSAGE'
  /**
   * The template folder has no template with this name.
   * @remedy Correct the name or add the file. With `threadpost types`, TypeScript finds wrong names before the code runs.
   */
  | 'UNKNOWN_TEMPLATE'
  /**
   * Data that the template needs is missing or undefined; `paths` lists every missing path.
   * @remedy Provide the data, or guard it in the template with `{{#if}}`.
   */
  | 'MISSING_DATA'
  /**
   * Your `intercept` function refused the mail; the message contains its reason.
   * @remedy Depends on the reason that your function gives.
   */
  | 'REFUSED'
  /**
   * A template doesn't parse or render, or one of its helper modules fails; `location` has the file, line and column.
   * @remedy Fix the template. `threadpost check` lists every broken template.
   */
  | 'TEMPLATE_ERROR'
  /**
   * The queue already holds `limits.queue` messages. The mail was not accepted.
   * @remedy Send it later, and find out why mail isn't going out: `stats()`, the dashboard, `threadpost doctor`.
   */
  | 'QUEUE_FULL'
  /**
   * The queue can't store messages at the moment: the disk is full, or Redis or Postgres is unreachable. The mail was not accepted,
   * unless the error has `accepted: 'unknown'`: then the answer was lost, and `id` identifies the message.
   * @remedy Send it later; the queue recovers when the disk, Redis, or Postgres does. With Redis, a `spool` bridges outages. If it is
   * unknown whether the mail was accepted, send it again with the same `idempotencyKey` or as the same prepared mail, or look for it with `find(id)`.
   */
  | 'QUEUE_UNAVAILABLE'
  /**
   * The idempotency key, or the id of the prepared mail, belongs to a different mail. The mail was not accepted.
   * @remedy Use a new key for a new mail, and call `prepare()` again.
   */
  | 'IDEMPOTENCY_CONFLICT'
  /**
   * The message's status doesn't allow the action: canceling a sent message, or retrying one that is already waiting.
   * @remedy Check the message with `find(id)`; usually there is nothing to do.
   */
  | 'CONFLICT'
  /**
   * No message has this id: it never existed, or it was removed according to `retain`.
   * @remedy Check the id, or keep settled messages longer with `retain`.
   */
  | 'NOT_FOUND'
  /**
   * The message was not settled before the `timeout` of `wait()`; `id` identifies it. Its delivery continues.
   * @remedy Don't send it again. Call `wait(id)` again, or listen to events.
   */
  | 'WAIT_TIMEOUT'
  /**
   * The mailer can't start because of a folder, a module, the queue's file, Redis, Postgres, or missing thread files (in a bundle).
   * @remedy The message names the cause; `threadpost doctor` checks everything.
   */
  | 'START_FAILED'
  /**
   * This queue or this `role` doesn't support the operation.
   * @remedy The message says which queue or role does.
   */
  | 'UNSUPPORTED'
  /**
   * The stored message can't be decrypted: none of the keys in `queue.encryption.keys` fits, or its bytes were changed. It stays
   * in the queue as it is.
   * @remedy Add the key with which it was encrypted. Waiting messages are then sent automatically.
   */
  | 'UNREADABLE'
  /**
   * The mailer is closed. Messages that it accepted stay in a durable queue.
   * @remedy Send before `close()`, or use another mailer.
   */
  | 'CLOSED'

export interface ErrorDetails {
  /** The invalid field, as written in code: `to[1]`, `attachments[0].filename`. */
  path?: string
  /** Every missing path, for `MISSING_DATA`; one of each invalid report, for `INVALID_MESSAGE` of `report()` with a list. */
  paths?: readonly string[]
  /** The id of the message, for `WAIT_TIMEOUT`, and for `QUEUE_UNAVAILABLE` if it is unknown whether it was accepted. */
  id?: string
  /** The queue may have accepted the mail, for `QUEUE_UNAVAILABLE`. */
  accepted?: 'unknown'
  /** The place of the error in the template, for `TEMPLATE_ERROR`. */
  location?: SourceLocation
  cause?: unknown
}

/** A place in a template. Lines and columns start at 1. */
export interface SourceLocation {
  file: string
  line?: number
  column?: number
  /** The text of the line, at most 200 characters. */
  excerpt?: string
}

const BRAND = Symbol.for('threadpost.error')

/**
 * The error that threadpost throws at its callers. The message says what is wrong and what to do;
 * it never contains a password, a token or the mail's data.
 */
export class ThreadpostError extends Error {
  override readonly name = 'ThreadpostError'
  readonly code: ErrorCode
  declare readonly path?: string
  declare readonly paths?: readonly string[]
  declare readonly location?: SourceLocation
  declare readonly id?: string
  declare readonly accepted?: 'unknown'

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    if (details.path !== undefined) this.path = details.path
    if (details.paths !== undefined) this.paths = details.paths
    if (details.location !== undefined) this.location = details.location
    if (details.id !== undefined) this.id = details.id
    if (details.accepted !== undefined) this.accepted = details.accepted
  }

  /**
   * An error of another copy of this module is one, too: a loader such as tsx can load the package both as an ES module and as a
   * CommonJS module.
   */
  static override [Symbol.hasInstance](value: unknown): value is ThreadpostError {
    return typeof value === 'object' && value !== null && BRAND in value
  }

  static {
    Object.defineProperty(this.prototype, BRAND, { value: true })
  }
}
