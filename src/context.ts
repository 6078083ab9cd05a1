import { AsyncLocalStorage } from 'node:async_hooks'
import { toJsonObject } from './message/json.js'
import type { Json, JsonObject } from './protocol/tasks.js'
import { Validator } from './validation.js'

/**
 * What goes with a message from the request that sent it: to the templates, as `@context`, and to the listeners of its
 * events. Plain data, at most 4 KB as JSON.
 */
export interface MailContext {
  /** Of the request, as its other log lines have it. */
  requestId?: string
  /** Language tag (BCP 47) of whoever asked: mails that name no locale take it where their template speaks it. */
  locale?: string
  /** Where more than one would do: language tags, the best first. */
  languages?: string[]
  /** Trace that the request belongs to (W3C Trace Context). */
  traceparent?: string
  tracestate?: string
  [name: string]: Json | undefined
}

const MAX_BYTES = 4_096
const MAX_LANGUAGES = 20
const LANGUAGE = /^[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8}){0,8}$/
/** Section 3.2 of W3C Trace Context; ids of zeros mean none. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/
const MAX_TRACESTATE = 512

const check: Validator = new Validator('INVALID_MESSAGE')
const storage = new AsyncLocalStorage<JsonObject | undefined>()

/** The context of the running code: of the request, or in a listener, of the message it is told of. */
export function currentContext(): Readonly<MailContext> | undefined {
  return storage.getStore()
}

/**
 * Runs something, and all that follows from it, in a context; what is sent there goes with it. Inside another context
 * the fields of both count, the inner ones first.
 * @throws ThreadpostError `INVALID_MESSAGE` where the context isn't plain data, or too large
 */
export function runWithContext<T>(context: MailContext, run: () => T): T {
  return storage.run(merged(storage.getStore(), context), run)
}

/** Runs something in the context of a message, which may be none; whatever context it is called from. */
export function inContextOf(context: JsonObject | undefined, run: () => void): void {
  if (storage.getStore() === context) run()
  else storage.run(context, run)
}

/**
 * The context that a message takes along.
 * @param more what the mailer's option `context` adds
 */
export function captureContext(more?: () => object | undefined): JsonObject | undefined {
  const current = storage.getStore()
  const added = more?.()
  return added === undefined ? current : merged(current, added)
}

/** A context that was kept elsewhere, or comes from a caller. */
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
    check.fail('context.traceparent', 'is none of W3C Trace Context')
  if (tracestate !== undefined) check.string(tracestate, 'context.tracestate', MAX_TRACESTATE)
  return Object.freeze(context)
}

export function isTraceparent(text: string): boolean {
  return TRACEPARENT.test(text)
}

/** @returns the tag; refuses what is none, such as `fr-CA` is one */
export function languageTag(value: unknown, path: string): string {
  const tag = check.string(value, path, 64)
  if (!LANGUAGE.test(tag)) check.fail(path, "is not a language tag such as 'fr-CA'")
  return tag
}

/**
 * The first language of a context that a template speaks, by the lookup of RFC 4647 section 3.4: `fr-CA` is spoken by
 * who speaks `fr`. English needs no variant: it is the language of the default.
 * @param spoken language tags in lower case
 */
export function localeFor(context: JsonObject, spoken: readonly string[]): string | undefined {
  const { locale, languages = locale === undefined ? [] : [locale] } = context as MailContext
  return languages.find((tag) => {
    const subtags = tag.toLowerCase().split(/[-_]/)
    if (subtags[0] === 'en') return true
    return subtags.some((_, index) => spoken.includes(subtags.slice(0, subtags.length - index).join('-')))
  })
}

function merged(outer: JsonObject | undefined, inner: object): JsonObject {
  const given = check.object(inner, 'context', Object.keys(inner))
  // A language that was chosen stands above those that a browser offers.
  const { languages: _, ...rest } = outer ?? {}
  return toContext(given['locale'] === undefined ? { ...outer, ...given } : { ...rest, ...given })
}
