import type { BounceCategory } from './deliveryStates.js'

export interface BounceKind {
  category: BounceCategory
  /** Whether another attempt can't help. */
  permanent: boolean
}

/** The answer of a server about a recipient that it did not deliver to. */
export interface ServerAnswer {
  /** Reply code (RFC 5321 section 4.2). */
  code?: number | undefined
  /** Enhanced status code (RFC 3463). */
  enhanced?: string | undefined
  text?: string | undefined
}

/** Characters of a text that are searched. */
const MAX_TEXT = 2_000

/**
 * Texts by which receivers and their software name the reason, where their codes don't: many send 5.7.1 or 5.0.0 for everything. The
 * first match counts, so what is more specific comes first.
 */
const TEXTS: readonly (readonly [RegExp, BounceCategory])[] = [
  // Over quota. Gmail: 4.2.2 and 5.2.2 "over quota", "out of storage space"; Exchange: 5.2.2 "mailbox full".
  [
    /over ?quota|quota (?:has been )?exceeded|exceeded (?:its|their|the|mailbox|storage)? ?(?:mailbox |storage |disk )?(?:quota|allocation)|mailbox (?:is |size limit )?(?:full|exceeded)|out of storage|insufficient (?:system )?storage|storage (?:quota|limit)|inbox is full|mailfolder is full|user is over|QuotaExceeded/i,
    'full',
  ],
  // Too large. Gmail: 5.2.3 "exceeds the size limits"; Postfix: 5.3.4 "message size exceeds".
  [
    /(?:message|mail|attachment)(?: file)? (?:is )?too (?:big|large)|message size|size (?:limit|of the message) ?exceed|exceeds? (?:the )?(?:maximum )?(?:message )?size|exceeded the size limit|MSGTOOBIG/i,
    'size',
  ],
  // Blocklists and reputation. Microsoft: S3140, S3150 and "banned sending IP"; Yahoo: [TSS04], "temporarily deferred due to user complaints".
  [
    /spamhaus|barracuda ?central|spamcop|\bsorbs\b|\bDN?S?[BW]L\b|\bRBL\b|bl(?:ock|ack) ?list|block list|poor reputation|(?:bad|low|poor|sender|ip|domain|very low) reputation|reputation of|\bS3(?:140|150)\b|banned send(?:er|ing)|\[TSS?\d+\]|user complaints|unusual rate of unsolicited|listed (?:at|by|in|on) \S+|\[IPTS\d+\]|blocked using|AS\(4\d{3}\)|sending (?:ip|server|host) .{0,60}(?:blocked|refused|denied)/i,
    'reputation',
  ],
  // Authentication of the sender, and rules of the receiver.
  [
    /\bDMARC\b|\bSPF\b|\bDKIM\b|unauthenticated|not authenticated|authentication (?:check|information|required|results?)|sender (?:id|verify|domain)|reverse DNS|\bPTR\b|rDNS|HELO|relay(?:ing)? (?:access )?(?:denied|not (?:permitted|allowed))|unable to relay|not (?:permitted|allowed|authori[sz]ed) to (?:relay|send)|rate limit|too many (?:messages|connections|recipients)|sending limit|greylist|graylist|RESOLVER\.RST|for policy reasons|requires? (?:TLS|encryption)/i,
    'policy',
  ],
  // No such mailbox. Gmail: "The email account that you tried to reach does not exist"; Exchange: RESOLVER.ADR.RecipientNotFound;
  // Postfix: "User unknown in virtual mailbox table"; Exim: "Unrouteable address"; qmail: "no mailbox here by that name".
  [
    /(?:user|recipient|mailbox|account|address|e-?mail|alias|local[- ]?part)\b.{0,60}\b(?:unknown|does(?: not|n't) exist|do not exist|not found|not exist|no longer (?:valid|exists|available|active|in use)|is (?:invalid|inactive|disabled|unavailable|not valid|not known|not active|closed|suspended|deactivated))|(?:unknown|no such|invalid|non-?existent|nonexistent|unavailable|inactive|disabled|unrouteable|undeliverable|bad destination) (?:local[- ]?part|user|recipient|mailbox|account|address|e-?mail address)|no mailbox here|no such person|no account by that name|not our customer|isn't a valid|is not a (?:known|valid) (?:user|recipient|mailbox|address)|RecipientNotFound|ExRecipNotFound|this account has been (?:disabled|discontinued|suspended)|mailbox (?:unavailable|not available|disabled|not found)|recipient rejected|does(?: not|n't) have an? .{0,30}account|address rejected: (?:access denied|undeliverable)|550[ -]5\.1\.1/i,
    'mailbox',
  ],
  // The domain or its servers.
  [
    /host or domain name not found|domain (?:name )?(?:not found|does(?: not|n't) exist|has no)|no such domain|name service error|\bNXDOMAIN\b|unknown (?:domain|host)|host (?:unknown|not found)|unrouteable (?:mail )?domain|null MX|no MX|DNS (?:lookup|error|failure)|all relevant MX records point to non-existent|couldn't find any host|connection (?:timed out|refused)|no route to host|(?:network|host) is unreachable|lost connection|loops? back to/i,
    'domain',
  ],
  // Content. Gmail: 5.7.0 "blocked because its content presents a potential security issue"; GMX: "transaction failed … spam".
  [
    /spam|junk|unsolicited|virus|malware|phish|content (?:rejected|filter|presents|is not accepted|not allowed)|suspicious|banned (?:content|attachment|file)|prohibited (?:attachment|content|file)|message (?:content )?(?:rejected|refused|blocked)|URL.{0,30}(?:listed|blocked)|\bRFC ?5322\b|headers? .{0,40}(?:invalid|missing|duplicate)|bare (?:LF|CR)|554.{0,20}transaction failed/i,
    'content',
  ],
]

/** Subjects and details of RFC 3463, and what the IANA registry added; the longest match counts. */
const CODES: Readonly<Record<string, BounceCategory>> = {
  '1': 'mailbox',
  '1.1': 'mailbox',
  '1.2': 'domain',
  '1.3': 'mailbox',
  '1.4': 'mailbox',
  '1.5': 'other',
  '1.6': 'mailbox',
  '1.7': 'policy',
  '1.8': 'policy',
  '1.9': 'other',
  '1.10': 'domain',
  '2': 'other',
  '2.0': 'mailbox',
  '2.1': 'mailbox',
  '2.2': 'full',
  '2.3': 'size',
  '2.4': 'other',
  '3': 'other',
  '3.1': 'full',
  '3.4': 'size',
  '4': 'domain',
  '4.0': 'domain',
  '4.7': 'other',
  '5': 'other',
  '5.3': 'policy',
  '6': 'content',
  '7': 'policy',
  '7.12': 'content',
}

/** An enhanced status code: class, subject, and detail (RFC 3463 section 2). */
const ENHANCED = /^([245])\.(\d{1,3})\.(\d{1,3})$/

/** The enhanced status code in a text, such as `5.1.1`. */
export function enhancedIn(text: string): string | undefined {
  return /(?:^|[\s(<#:[-])([245]\.\d{1,3}\.\d{1,3})(?![\d.])/.exec(text.slice(0, MAX_TEXT))?.[1]
}

/** The reply code in a text, such as 550. */
function replyCodeIn(text: string): number | undefined {
  const found = /(?:^|[\s(<:[])([45]\d\d)(?=[\s-])/.exec(text.slice(0, MAX_TEXT))?.[1]
  return found === undefined ? undefined : Number(found)
}

/** Tells what a bounce or a delay is about, and whether it is permanent. Pure, and linear in the text. */
export function categorize({ code, enhanced, text = '' }: ServerAnswer): BounceKind {
  const searched = text.slice(0, MAX_TEXT).replace(/\s+/g, ' ')
  const status = ENHANCED.exec(enhanced ?? enhancedIn(searched) ?? '')
  const reply = code ?? replyCodeIn(searched)
  const permanent = status !== null ? status[1] === '5' : reply === undefined || reply >= 500
  const byCode = status === null ? undefined : (CODES[`${status[2]}.${status[3]}`] ?? CODES[status[2] ?? ''])
  const byText = TEXTS.find(([pattern]) => pattern.test(searched))?.[1]
  return { category: chosen(byCode, byText, `${status?.[2]}.${status?.[3]}`), permanent }
}

/** Codes that receivers use for one thing only. */
const RELIABLE = new Set(['1.1', '1.2', '1.3', '1.6', '2.2', '2.3', '3.4'])

function chosen(
  byCode: BounceCategory | undefined,
  byText: BounceCategory | undefined,
  code: string,
): BounceCategory {
  if (byText === undefined) return byCode ?? 'other'
  if (byCode === undefined) return byText
  // A receiver that hides why it refuses may still send 5.1.1: then its text, which blames the sender, is right.
  if (RELIABLE.has(code)) return byText === 'reputation' && byCode === 'mailbox' ? byText : byCode
  return byText
}
