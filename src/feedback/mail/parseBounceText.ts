import { enhancedIn } from '../categorize.js'
import type { MailReport } from './parseReportMail.js'

/** The findings in a bounce that has no part for programs: of qmail, older versions of Exchange, Exim, and Gmail, and others. */
export interface BounceText {
  messageIds: string[]
  reports: MailReport[]
}

/** Where the message that is returned begins. */
const COPY =
  /^.{0,40}(?:below this line is a copy of the message|this is a copy of (?:your|the) message|original message(?: headers)?|included is a copy of the message header|message header follows|copy of (?:the|your) (?:original )?message).*$/im
/** Words of mails that say that a mail did not arrive. */
const FAILURE =
  /(?:un)?deliver|returned mail|return to sender|failure notice|mail (?:system error|delivery|status)|could not be (?:sent|delivered)|did not reach|unzustellbar|non remis|nondeliver/i
const DELAY =
  /delay|warning|still (?:being|trying)|will (?:keep|continue|be retried)|temporar|not yet been delivered|no action is required/i
const MAX_LINES = 2_000
const MAX_DETAIL = 500

/**
 * Finds the recipients and what was said of them. Linear in the text.
 * @param failed the recipients that the header names
 * @returns undefined if it is no bounce
 */
export function readBounceText(
  text: string,
  subject: string,
  failed: readonly string[],
): BounceText | undefined {
  const copy = COPY.exec(text)
  const report = copy === null ? text : text.slice(0, copy.index)
  const returned = copy === null ? text : text.slice(copy.index)
  if (!FAILURE.test(subject.slice(0, 500)) && !FAILURE.test(report.slice(0, 2_000))) return undefined
  const state =
    DELAY.test(subject.slice(0, 500)) || /^.{0,400}has not yet been delivered/s.test(report)
      ? 'delayed'
      : 'bounced'
  const paragraphs = recipientsIn(report)
  const addresses = failed.length > 0 ? [...failed] : [...paragraphs.keys()]
  if (addresses.length === 0) return undefined
  return {
    messageIds: [
      ...returned.slice(0, 64 * 1024).matchAll(/^[ >\t]{0,8}Message-ID:\s{0,8}(<[^<>\s]{1,500}>)/gim),
    ]
      .slice(0, 5)
      .map(([, id = '']) => id),
    reports: addresses.map((address): MailReport => {
      const detail = (paragraphs.get(address.toLowerCase()) ?? wholeOf(report)).slice(0, MAX_DETAIL)
      const enhanced = enhancedIn(detail)
      return {
        recipients: [address],
        state,
        ...(enhanced === undefined ? {} : { enhanced }),
        ...(detail === '' ? {} : { detail }),
      }
    }),
  }
}

/** A line that names a recipient: `<ada@example.com>:`, the address alone, or `ada@example.com on 3/1/2026`. */
const RECIPIENT_LINE = /^\s{0,12}<?([^\s<>"(),:;[\]@]{1,64}@[^\s<>"'(),:;[\]@]{1,255})>?(?::|\s*$|\s+on\s)/

/** The recipients that have lines of their own, each with the text behind it. */
function recipientsIn(report: string): Map<string, string> {
  const paragraphs = new Map<string, string>()
  let current: string | undefined
  let blank = 0
  for (const line of report.split('\n').slice(0, MAX_LINES)) {
    const address = RECIPIENT_LINE.exec(line)?.[1]?.toLowerCase()
    if (address !== undefined) {
      current = address
      blank = 0
      const rest = /:\s+(\S.*)$/.exec(line)?.[1] ?? ''
      if (!paragraphs.has(address)) paragraphs.set(address, rest)
    } else if (current !== undefined) {
      if (line.trim() === '') blank++
      const before = paragraphs.get(current) ?? ''
      if (blank > 1 || before.length > MAX_DETAIL) current = undefined
      else paragraphs.set(current, `${before} ${line.trim()}`.trim())
    }
  }
  return paragraphs
}

function wholeOf(report: string): string {
  return report.slice(0, 4_000).replace(/\s+/g, ' ').trim()
}
