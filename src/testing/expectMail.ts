import { AssertionError } from 'node:assert'
import { setTimeout as pause } from 'node:timers/promises'
import type { Inbox } from '../inbox/inbox.js'
import type { ReceivedMail } from '../inbox/receivedMail.js'

/** What a mail must be like. What is left out may be anything; a pattern must be found, a text as each field says. */
export interface ExpectedMail {
  /** An envelope recipient, case aside. */
  to?: string | RegExp
  /** The sender's address in the From header, case aside. */
  from?: string | RegExp
  /** The whole subject. */
  subject?: string | RegExp
  /** A part of the text. */
  text?: string | RegExp
  /** A part of the HTML's source. */
  html?: string | RegExp
  /** A part of the URL of each link that must be there, in any order. */
  links?: readonly (string | RegExp)[]
  /** The name of each attachment that must be there, in any order. */
  attachments?: readonly (string | RegExp)[]
}

export interface ExpectOptions {
  /** Milliseconds to wait for it. @default 5000 */
  timeout?: number
}

/** One thing about a mail that is not as expected. */
interface Miss {
  field: string
  expected: string
  actual: string
}

/**
 * Waits for a mail that is as expected in every respect, and returns it.
 * @throws AssertionError when none came in time; it says of the mail that comes nearest what differs
 */
export async function expectMail(
  inbox: Inbox,
  expected: ExpectedMail,
  { timeout = 5000 }: ExpectOptions = {},
): Promise<ReceivedMail> {
  const deadline = performance.now() + timeout
  let woken = new AbortController()
  const wake = () => woken.abort()
  inbox.on('received', wake)
  try {
    for (;;) {
      woken = new AbortController()
      const mails = await inbox.search({})
      const match = mails.findLast((mail) => missesOf(mail, expected).length === 0)
      if (match !== undefined) return match
      const left = deadline - performance.now()
      if (left <= 0) throw complaint(mails, expected, timeout)
      await pause(left, undefined, { signal: woken.signal }).catch(() => undefined)
    }
  } finally {
    inbox.off('received', wake)
  }
}

/**
 * Makes sure that no such mail has come, nor comes in a while. Rather than waiting long, wait for the outcome of what
 * might send it, then call this with `within: 0`.
 * @throws AssertionError when one is there
 */
export async function expectNoMail(
  inbox: Inbox,
  unexpected: ExpectedMail = {},
  { within = 100 }: { within?: number } = {},
): Promise<void> {
  if (within > 0) await pause(within)
  const found = (await inbox.search({})).find((mail) => missesOf(mail, unexpected).length === 0)
  if (found === undefined) return
  throw new AssertionError({
    message: `Expected no mail${describe(unexpected)}, but one came: ${nameOf(found)}`,
    actual: found.subject,
    expected: undefined,
    operator: 'expectNoMail',
  })
}

function missesOf(mail: ReceivedMail, expected: ExpectedMail): Miss[] {
  const { to, from, subject, text, html, links = [], attachments = [] } = expected
  const urls = mail.links().map(({ url }) => url)
  const names = mail.attachments.map(({ filename = '(without a name)' }) => filename)
  const recipients = mail.envelope.to
  const sender = mail.from?.address ?? mail.envelope.from
  const misses: (Miss | undefined)[] = [
    unless(to === undefined || recipients.some((address) => isAddress(address, to)), 'to', to, recipients),
    unless(from === undefined || isAddress(sender, from), 'from', from, [sender]),
    unless(subject === undefined || is(mail.subject, subject), 'subject', subject, [mail.subject]),
    unless(text === undefined || holds(mail.text ?? '', text), 'text', text, [mail.text ?? '']),
    unless(html === undefined || holds(mail.html ?? '', html), 'html', html, [mail.html ?? '']),
    ...links.map((link) =>
      unless(
        urls.some((url) => holds(url, link)),
        'link',
        link,
        urls,
      ),
    ),
    ...attachments.map((name) =>
      unless(
        names.some((known) => is(known, name)),
        'attachment',
        name,
        names,
      ),
    ),
  ]
  return misses.filter((miss) => miss !== undefined)
}

function unless(
  fits: boolean,
  field: string,
  expected: string | RegExp | undefined,
  actual: readonly string[],
): Miss | undefined {
  if (fits) return undefined
  return { field, expected: quote(expected ?? ''), actual: actual.map(quote).join(', ') || 'none' }
}

function complaint(mails: readonly ReceivedMail[], expected: ExpectedMail, timeout: number): AssertionError {
  const wanted = `Expected a mail${describe(expected)} within ${timeout} ms`
  const candidates = mails.map((mail) => ({ mail, misses: missesOf(mail, expected) }))
  // Of those equally near the newest, which stands first.
  const nearest = candidates.sort((a, b) => a.misses.length - b.misses.length)[0]
  if (nearest === undefined)
    return new AssertionError({ message: `${wanted}, but none came at all`, operator: 'expectMail' })
  const { mail, misses } = nearest
  const differences = misses.map(
    ({ field, expected: want, actual }) => `  ${field}: expected ${want}, but it is ${actual}`,
  )
  const count = mails.length === 1 ? 'One mail came' : `Of ${mails.length} mails the nearest`
  return new AssertionError({
    message: `${wanted}. ${count}: ${nameOf(mail)}\n${differences.join('\n')}`,
    expected: Object.fromEntries(misses.map(({ field, expected: want }) => [field, want])),
    actual: Object.fromEntries(misses.map(({ field, actual }) => [field, actual])),
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

function is(actual: string, expected: string | RegExp): boolean {
  return typeof expected === 'string' ? actual === expected : actual.search(expected) !== -1
}

function isAddress(actual: string, expected: string | RegExp): boolean {
  return typeof expected === 'string' ? actual.toLowerCase() === expected.toLowerCase() : is(actual, expected)
}

function holds(actual: string, expected: string | RegExp): boolean {
  return typeof expected === 'string' ? actual.includes(expected) : is(actual, expected)
}
