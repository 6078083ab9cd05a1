import { AssertionError } from 'node:assert'
import { setTimeout as pause } from 'node:timers/promises'
import type { Inbox } from '../inbox/inbox.js'
import { refuseUnknown } from '../inbox/mailSearch.js'
import type { ReceivedMail } from '../inbox/receivedMail.js'

/**
 * Conditions for a mail. A RegExp must match; a string is compared as described for each field. Omitted fields match
 * any mail.
 */
export interface ExpectedMail {
  /** An envelope recipient, ignoring case. */
  to?: string | RegExp
  /** The sender's address in the From header, ignoring case. */
  from?: string | RegExp
  /** The whole subject. */
  subject?: string | RegExp
  /** A substring of the text. */
  text?: string | RegExp
  /** A substring of the HTML source. */
  html?: string | RegExp
  /** A substring of the URL of each required link, in any order. */
  links?: readonly (string | RegExp)[]
  /** The name of each required attachment, in any order. */
  attachments?: readonly (string | RegExp)[]
}

const CONDITIONS = [
  'to',
  'from',
  'subject',
  'text',
  'html',
  'links',
  'attachments',
] as const satisfies (keyof ExpectedMail)[]

export interface ExpectOptions {
  /** Time to wait, in milliseconds. @default 5000 */
  timeout?: number
}

/** A field of a mail that doesn't match. */
interface Mismatch {
  field: string
  expected: string
  actual: string
}

/**
 * Waits for a mail that meets all conditions, and returns it.
 * @throws AssertionError if none arrives in time; its message lists the differences of the closest mail
 */
export async function expectMail(
  inbox: Inbox,
  expected: ExpectedMail,
  { timeout = 5000 }: ExpectOptions = {},
): Promise<ReceivedMail> {
  refuseUnknown(expected, CONDITIONS)
  const deadline = performance.now() + timeout
  let woken = new AbortController()
  const wake = () => woken.abort()
  inbox.on('received', wake)
  try {
    for (;;) {
      woken = new AbortController()
      const mails = await inbox.search({})
      const match = mails.findLast((mail) => mismatchesOf(mail, expected).length === 0)
      if (match !== undefined) return match
      const left = deadline - performance.now()
      if (left <= 0) throw timeoutError(mails, expected, timeout)
      await pause(left, undefined, { signal: woken.signal }).catch(() => undefined)
    }
  } finally {
    inbox.off('received', wake)
  }
}

/**
 * Asserts that no mail meets the conditions now or within a short time. Instead of waiting for a long time, wait for
 * the outcome of the code that might send it, then call this function with `within: 0`.
 * @throws AssertionError if such a mail exists
 */
export async function expectNoMail(
  inbox: Inbox,
  unexpected: ExpectedMail = {},
  { within = 100 }: { within?: number } = {},
): Promise<void> {
  refuseUnknown(unexpected, CONDITIONS)
  if (within > 0) await pause(within)
  const found = (await inbox.search({})).find((mail) => mismatchesOf(mail, unexpected).length === 0)
  if (found === undefined) return
  throw new AssertionError({
    message: `Expected no mail${describe(unexpected)}, but received: ${nameOf(found)}`,
    actual: found.subject,
    expected: undefined,
    operator: 'expectNoMail',
  })
}

function mismatchesOf(mail: ReceivedMail, expected: ExpectedMail): Mismatch[] {
  const { to, from, subject, text, html, links = [], attachments = [] } = expected
  const urls = mail.links().map(({ url }) => url)
  const names = mail.attachments.map(({ filename = '(no name)' }) => filename)
  const recipients = mail.envelope.to
  const sender = mail.from?.address ?? mail.envelope.from
  const mismatches: (Mismatch | undefined)[] = [
    mismatchUnless(
      to === undefined || recipients.some((address) => isAddress(address, to)),
      'to',
      to,
      recipients,
    ),
    mismatchUnless(from === undefined || isAddress(sender, from), 'from', from, [sender]),
    mismatchUnless(subject === undefined || matches(mail.subject, subject), 'subject', subject, [
      mail.subject,
    ]),
    mismatchUnless(text === undefined || includes(mail.text ?? '', text), 'text', text, [mail.text ?? '']),
    mismatchUnless(html === undefined || includes(mail.html ?? '', html), 'html', html, [mail.html ?? '']),
    ...links.map((link) => mismatchUnlessAny(urls, includes, 'link', link)),
    ...attachments.map((name) => mismatchUnlessAny(names, matches, 'attachment', name)),
  ]
  return mismatches.filter((mismatch) => mismatch !== undefined)
}

function mismatchUnless(
  matched: boolean,
  field: string,
  expected: string | RegExp | undefined,
  actual: readonly string[],
): Mismatch | undefined {
  if (matched) return undefined
  return { field, expected: quote(expected ?? ''), actual: actual.map(quote).join(', ') || 'none' }
}

function mismatchUnlessAny(
  values: readonly string[],
  test: (actual: string, expected: string | RegExp) => boolean,
  field: string,
  expected: string | RegExp,
): Mismatch | undefined {
  return mismatchUnless(
    values.some((value) => test(value, expected)),
    field,
    expected,
    values,
  )
}

function timeoutError(
  mails: readonly ReceivedMail[],
  expected: ExpectedMail,
  timeout: number,
): AssertionError {
  const wanted = `Expected a mail${describe(expected)} within ${timeout} ms`
  const candidates = mails.map((mail) => ({ mail, mismatches: mismatchesOf(mail, expected) }))
  // The sort is stable, so the first of several equally close mails is the newest.
  const closest = candidates.sort((a, b) => a.mismatches.length - b.mismatches.length)[0]
  if (closest === undefined)
    return new AssertionError({ message: `${wanted}, but received no mail`, operator: 'expectMail' })
  const { mail, mismatches } = closest
  const differences = mismatches.map(
    ({ field, expected: want, actual }) => `  ${field}: expected ${want}, received ${actual}`,
  )
  const count = mails.length === 1 ? 'Received one mail' : `The closest of ${mails.length} mails`
  return new AssertionError({
    message: `${wanted}. ${count}: ${nameOf(mail)}\n${differences.join('\n')}`,
    expected: Object.fromEntries(mismatches.map(({ field, expected: want }) => [field, want])),
    actual: Object.fromEntries(mismatches.map(({ field, actual }) => [field, actual])),
    operator: 'expectMail',
  })
}

function describe(expected: ExpectedMail): string {
  const parts = Object.entries(expected).map(([field, value]: [string, unknown]) => {
    const values = Array.isArray(value) ? (value as (string | RegExp)[]) : [value as string | RegExp]
    return `${field} ${values.map(quote).join(', ')}`
  })
  return parts.length === 0 ? '' : ` with ${parts.join(', ')}`
}

function nameOf({ subject, envelope }: ReceivedMail): string {
  return `'${subject}' to ${envelope.to.join(', ')}`
}

function quote(value: string | RegExp): string {
  if (typeof value !== 'string') return String(value)
  return value.length > 200 ? `${JSON.stringify(value.slice(0, 200))}…` : JSON.stringify(value)
}

function matches(actual: string, expected: string | RegExp): boolean {
  return typeof expected === 'string' ? actual === expected : actual.search(expected) !== -1
}

function isAddress(actual: string, expected: string | RegExp): boolean {
  return typeof expected === 'string'
    ? actual.toLowerCase() === expected.toLowerCase()
    : matches(actual, expected)
}

function includes(actual: string, expected: string | RegExp): boolean {
  return typeof expected === 'string' ? actual.includes(expected) : matches(actual, expected)
}
