import { describe, expect, it } from 'vitest'
import { categorize } from '../../src/feedback/categorize.js'
import type { BounceCategory } from '../../src/feedback/deliveryStates.js'

type Row = readonly [text: string, category: BounceCategory, permanent: boolean]

/** Answers of large receivers and common servers, by receiver; the wording follows their public documentation. */
const ANSWERS: Readonly<Record<string, readonly Row[]>> = {
  Gmail: [
    [
      "550-5.1.1 The email account that you tried to reach does not exist. Please try 550-5.1.1 double-checking the recipient's email address for typos",
      'mailbox',
      true,
    ],
    ['550 5.2.1 The email account that you tried to reach is inactive.', 'mailbox', true],
    ['552 5.2.2 The email account that you tried to reach is over quota and inactive.', 'full', true],
    ["452 4.2.2 The recipient's inbox is out of storage space.", 'full', false],
    [
      '550-5.7.26 This mail has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM.',
      'policy',
      true,
    ],
    [
      '421-4.7.28 Gmail has detected an unusual rate of unsolicited mail originating from your IP address.',
      'reputation',
      false,
    ],
    [
      '550-5.7.1 Gmail has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked.',
      'content',
      true,
    ],
    [
      '550-5.7.1 Gmail has detected that this message is suspicious due to the very low reputation of the sending domain.',
      'reputation',
      true,
    ],
    [
      '552-5.7.0 This message was blocked because its content presents a potential security issue.',
      'content',
      true,
    ],
    ["552-5.2.3 Your message exceeded Google's message size limits.", 'size', true],
  ],
  Microsoft: [
    [
      '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup',
      'mailbox',
      true,
    ],
    ['550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).', 'mailbox', true],
    ['550 5.4.1 Recipient address rejected: Access denied. [DB5EUR01FT016]', 'mailbox', true],
    [
      "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140).",
      'reputation',
      true,
    ],
    ['550 5.7.606 Access denied, banned sending IP [192.0.2.1].', 'reputation', true],
    [
      '550 5.7.509 Access denied, sending domain example.com does not pass DMARC verification',
      'policy',
      true,
    ],
    ['554 5.2.2 mailbox full; STOREDRV.Deliver; QuotaExceededException', 'full', true],
    ['552 5.3.4 Message size exceeds fixed maximum message size', 'size', true],
    [
      '550 5.7.520 Message blocked because it contains content identified as spam. AS(4810)',
      'reputation',
      true,
    ],
  ],
  Yahoo: [
    [
      "554 delivery error: dd This user doesn't have a yahoo.com account (nobody@yahoo.com) [0]",
      'mailbox',
      true,
    ],
    [
      '421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints',
      'reputation',
      false,
    ],
    ['552 1 Requested mail action aborted, mailbox not found', 'mailbox', true],
    ['554 Message not allowed - [PH01] Email not accepted for policy reasons.', 'policy', true],
  ],
  Apple: [
    ['550 5.1.1 <nobody@icloud.com>: user does not exist', 'mailbox', true],
    ['552 5.2.2 <full@icloud.com>: user is over quota', 'full', true],
    ['554 5.7.1 [HM08] Message rejected due to local policy.', 'content', true],
  ],
  GMX: [
    ['550 Requested action not taken: mailbox unavailable', 'mailbox', true],
    ['554-Transaction failed 554-Reject due to policy restrictions.', 'content', true],
    ['552 Requested mail action aborted: exceeded storage allocation', 'full', true],
    ['421-gmx.net Service not available Too many connections', 'policy', false],
  ],
  Postfix: [
    [
      '550 5.1.1 <x@example.com>: Recipient address rejected: User unknown in virtual mailbox table',
      'mailbox',
      true,
    ],
    ['5.1.1 unknown user: "x"', 'mailbox', true],
    ['554 5.7.1 <x@example.com>: Relay access denied', 'policy', true],
    ['450 4.2.0 <x@example.com>: Recipient address rejected: Greylisted', 'policy', false],
    ['4.4.1 connect to example.com[192.0.2.1]:25: Connection timed out', 'domain', false],
    [
      '5.4.4 Host or domain name not found. Name service error for name=example.invalid type=A: Host not found',
      'domain',
      true,
    ],
    ['552 5.3.4 Error: message file too big', 'size', true],
    [
      '554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org',
      'reputation',
      true,
    ],
  ],
  Exim: [
    ['550 Unrouteable address', 'mailbox', true],
    ['550 no such user here', 'mailbox', true],
    ['550 Sender verify failed', 'policy', true],
    ['550 relay not permitted', 'policy', true],
    ['all relevant MX records point to non-existent hosts', 'domain', true],
  ],
  qmail: [
    ['Sorry, no mailbox here by that name. (#5.1.1)', 'mailbox', true],
    ["Sorry, I couldn't find any host named example.invalid. (#5.1.2)", 'domain', true],
    ["Sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", 'policy', true],
  ],
}

describe.each(Object.entries(ANSWERS))('what %s says', (_, rows) => {
  it.each(rows.map(([text, category, permanent]) => ({ text, category, permanent })))(
    'means $category: $text',
    ({ text, category, permanent }) => {
      expect(categorize({ text })).toEqual({ category, permanent })
    },
  )
})

describe('a code without a text', () => {
  it.each([
    ['5.1.1', 'mailbox', true],
    ['5.1.2', 'domain', true],
    ['5.1.10', 'domain', true],
    ['4.2.2', 'full', false],
    ['5.3.4', 'size', true],
    ['5.4.4', 'domain', true],
    ['4.4.7', 'other', false],
    ['5.6.0', 'content', true],
    ['5.7.1', 'policy', true],
    ['5.0.0', 'other', true],
    ['5.999.999', 'other', true],
  ])('%s means %s', (enhanced, category, permanent) => {
    expect(categorize({ enhanced })).toEqual({ category, permanent })
  })

  it('takes the class from the reply code if there is no enhanced one', () => {
    expect(categorize({ code: 451 })).toEqual({ category: 'other', permanent: false })
    expect(categorize({ code: 550 })).toEqual({ category: 'other', permanent: true })
  })
})

it('never calls an address dead because its server blames the sender', () => {
  const text = '550 5.1.1 Blocked: 192.0.2.1 has a poor reputation'
  expect(categorize({ text }).category).toBe('reputation')
})

it('reads a long text in linear time', () => {
  for (const part of ['user ', 'size limit exceed', ' 5.1', 'listed at ', 'mailbox is '])
    expect(categorize({ text: part.repeat(200_000) }).permanent).toBe(true)
})
