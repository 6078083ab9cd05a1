import type { Outcome } from '../protocol/outcome.js'

/** Replies of a server that takes no more for the moment, for whatever reason (RFC 5321 section 4.2.3). */
const BUSY = new Set([421, 450, 451, 452, 454])
/** RFC 3463 section 3.8: security or policy. With 454 it is a temporary failure of TLS or of authentication instead. */
const POLICY = /^4\.7\./
/** RFC 3463 sections 3.2, 3.3 and 3.6: it says something of a recipient or of the message. */
const NOT_OURS = /^4\.[126]\./
/** Greylisting wants the same message later; it does not want fewer. */
const GREYLISTING = /gr[ae]y-?list/i
/** The words in which servers ask for fewer messages. Too many recipients or hops are the message's own. */
const FEWER =
  /too many (?!recipients|rcpt|hops)|too (?:much mail|fast|quickly|frequent)|\brates?\b|rate-?limit|throttl|slow(?:ing)? down|(?:connections?|messages?|send|sending|hourly|daily) (?:limit|quota)/i

/**
 * Whether the server asks for fewer messages: HTTP 429; or a 4xx whose enhanced code (4.7.x) or text says so. A bare 421
 * says no more than that this connection ends, for whatever reason (RFC 5321 section 3.8), and the next one may be welcome.
 */
export function isThrottling({ result, reply }: Outcome): boolean {
  if (result !== 'deferred' || reply === undefined) return false
  const { code, enhanced = '', text } = reply
  if (code === 429) return true
  if (!BUSY.has(code) || NOT_OURS.test(enhanced) || GREYLISTING.test(text)) return false
  return (code !== 454 && POLICY.test(enhanced)) || FEWER.test(text)
}
