import { AsyncLocalStorage } from 'node:async_hooks'
import { toJsonObject } from './message/json.js'
import { localeChain } from './protocol/locales.js'
import type { Json, JsonObject } from './protocol/tasks.js'
import { Validator } from './validation.js'

/**
 * Data about the request that sends a mail, carried with the message: templates read it as `@context`, and listeners of its events
 * run in it. Plain data, at most 4 KB as JSON.
 */
export interface MailContext {
  /** The request's id, as in its log lines. */
  requestId?: string
  /** Language tag (BCP 47) of the user. A mail without `locale` uses it if its template supports it. */
  locale?: string
  /** All acceptable languages as language tags, the most preferred first. */
  languages?: string[]
  /** The trace that the request belongs to (W3C Trace Context). */
  traceparent?: string
  tracestate?: string
  [name: string]: Json | undefined
}

const MAX_BYTES = 4_096
const MAX_LANGUAGES = 20
const LANGUAGE = /^[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,8}$/
/** W3C Trace Context section 3.2. Ids of all zeros are invalid. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/
const MAX_TRACESTATE = 512

const check: Validator = new Validator('INVALID_MESSAGE')
const storage = new AsyncLocalStorage<JsonObject | undefined>()

/** The context of the running code: the request's, or in a listener, that of the event's message. */
export function currentContext(): Readonly<MailContext> | undefined {
  return storage.getStore()
}

/**
 * Runs a function, and all asynchronous work that it starts, in a context. Mails sent there carry it. Nested contexts are merged;
 * the inner fields take precedence.
 * @throws ThreadpostError `INVALID_MESSAGE` if the context isn't plain data, or is too large
 */
export function runWithContext<T>(context: MailContext, run: () => T): T {
  return storage.run(merged(storage.getStore(), context), run)
}

/** Runs a function in the context of a message, or in none, regardless of the caller's context. */
export function inContextOf(context: JsonObject | undefined, run: () => void): void {
  if (storage.getStore() === context) run()
  else storage.run(context, run)
}

/**
 * The context that a mail sent now carries.
 * @param more the mailer's option `context`
 */
export function captureContext(more?: () => object | undefined): JsonObject | undefined {
  const current = storage.getStore()
  const added = more?.()
  return added === undefined ? current : merged(current, added)
}

/** Validates a context from a caller or from storage. */
export function toContext(value: unknown): JsonObject {
  const context = toJsonObject(value, 'context', check)
  if (Buffer.byteLength(JSON.stringify(context)) > MAX_BYTES)
    check.fail('context', `is larger than ${MAX_BYTES} bytes`)
  const { requestId, locale, languages, traceparent, tracestate } = context
  if (requestId !== undefined) check.string(requestId, 'context.requestId', 256)
  if (locale !== undefined) languageTag(locale, 'context.locale')
  if (languages !== undefined)
    check
      .array(languages, 'context.languages', MAX_LANGUAGES)
      .forEach((tag, index) => languageTag(tag, `context.languages[${index}]`))
  if (traceparent !== undefined && !isTraceparent(check.string(traceparent, 'context.traceparent')))
    check.fail('context.traceparent', 'is not a traceparent of W3C Trace Context')
  if (tracestate !== undefined) check.string(tracestate, 'context.tracestate', MAX_TRACESTATE)
  return Object.freeze(context)
}

export function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text)
}

/** Validates a language tag such as `fr-CA`. */
export function languageTag(value: unknown, path: string): string {
  const tag = check.string(value, path, 64)
  if (!LANGUAGE.test(tag)) check.fail(path, "is not a language tag such as 'fr-CA'")
  return tag
}

/**
 * The first language of a context that a template supports, by the lookup of RFC 4647 section 3.4: a template that supports `fr`
 * also supports `fr-CA`. English needs no variant, because it is the language of the default one.
 * @param supported language tags in lower case
 */
export function localeFor(context: JsonObject, supported: readonly string[]): string | undefined {
  const { locale, languages = locale === undefined ? [] : [locale] } = context as MailContext
  return languages.find(
    (tag) => /^en(?:[-_]|$)/i.test(tag) || localeChain(tag).some((name) => supported.includes(name)),
  )
}

function merged(outer: JsonObject | undefined, inner: object): JsonObject {
  const added = check.object(inner, 'context', Object.keys(inner))
  // A chosen locale takes precedence over the languages of the browser.
  const { languages: _, ...rest } = outer ?? {}
  return toContext(added['locale'] === undefined ? { ...outer, ...added } : { ...rest, ...added })
}
