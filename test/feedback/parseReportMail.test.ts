import { describe, expect, it } from 'vitest'
import { readReportMail } from '../../src/feedback/mail/parseReportMail.js'
import { aborted, arf, dsn, lines } from '../support/reportMails.js'

const read = (text: string) => readReportMail(Buffer.from(text))

describe('a delivery status notification (RFC 3464)', () => {
  it('reports each recipient, and names the message that it returns', () => {
    const mail = read(
      dsn({
        to: 'bounces+token@acme.example',
        messageId: '<1@acme.example>',
        recipients: [
          {
            address: 'ada@example.com',
            action: 'failed',
            status: '5.1.1',
            diagnostic: 'smtp; 550 5.1.1 <ada@example.com>: unknown\n  user',
          },
          { address: 'bob@example.com', action: 'delayed', status: '4.2.2' },
          { address: 'eve@example.com', action: 'delivered', status: '2.0.0' },
          { address: 'list@example.com', action: 'expanded', status: '2.0.0' },
        ],
      }),
    )
    expect(mail.source).toBe('dsn')
    expect(mail.addresses).toContain('bounces+token@acme.example')
    expect(mail.messageIds).toEqual(['<1@acme.example>'])
    expect(mail.reports).toMatchObject([
      {
        recipients: ['ada@example.com'],
        state: 'bounced',
        enhanced: '5.1.1',
        detail: '550 5.1.1 <ada@example.com>: unknown user',
      },
      { recipients: ['bob@example.com'], state: 'delayed', enhanced: '4.2.2' },
      { recipients: ['eve@example.com'], state: 'delivered' },
    ])
  })

  it('names the recipient to whom the message was sent first', () => {
    const mail = read(
      dsn({
        recipients: [
          {
            address: 'new@other.example',
            original: 'rfc822;ada+2Bx@example.com',
            action: 'failed',
            status: '5.1.1',
          },
        ],
      }),
    )
    expect(mail.reports[0]?.recipients).toEqual(['ada+x@example.com', 'new@other.example'])
  })

  it('is read up to a thousand recipients', () => {
    const recipients = Array.from({ length: 3_000 }, (_, n) => ({
      address: `a${n}@example.com`,
      action: 'failed',
      status: '5.1.1',
    }))
    expect(read(dsn({ recipients })).reports).toHaveLength(1_000)
  })
})

describe('a complaint (RFC 5965)', () => {
  it('reports the recipient', () => {
    const mail = read(arf({ type: 'abuse', recipient: 'ada@example.com', messageId: '<1@acme.example>' }))
    expect(mail).toMatchObject({
      source: 'arf',
      messageIds: ['<1@acme.example>'],
      reports: [{ recipients: ['ada@example.com'], state: 'complained' }],
    })
    expect(read(arf({ type: 'opt-out', recipient: 'ada@example.com' })).reports).toMatchObject([
      { state: 'unsubscribed' },
    ])
  })

  it.each(['not-spam', 'auth-failure', 'Auth-Failure'])('is none if its type is %s', (type) => {
    expect(read(arf({ type, recipient: 'ada@example.com' })).reports).toEqual([])
  })
})

describe('a bounce without a part for programs', () => {
  it.each([
    [
      'qmail',
      lines`
        Return-Path: <>
        From: MAILER-DAEMON@mx.example.com
        To: bounces@acme.example
        Subject: failure notice

        Hi. This is the qmail-send program at mx.example.com.
        I'm afraid I wasn't able to deliver your message to the following addresses.
        This is a permanent error; I've given up. Sorry it didn't work out.

        <ada@example.com>:
        Sorry, no mailbox here by that name. (#5.1.1)

        --- Below this line is a copy of the message.

        Return-Path: <bounces@acme.example>
        Message-ID: <1@acme.example>
        Subject: Hello
      `,
      { state: 'bounced', enhanced: '5.1.1' },
    ],
    [
      'Exim',
      lines`
        Return-path: <>
        X-Failed-Recipients: ada@example.com
        Auto-Submitted: auto-replied
        From: Mail Delivery System <Mailer-Daemon@mx.example.com>
        To: bounces@acme.example
        Subject: Mail delivery failed: returning message to sender

        This message was created automatically by mail delivery software.

        A message that you sent could not be delivered to one or more of its
        recipients. This is a permanent error. The following address(es) failed:

          ada@example.com
            Unrouteable address

        ------ This is a copy of your message, including all the headers. ------

        Message-ID: <1@acme.example>
      `,
      { state: 'bounced', detail: 'Unrouteable address' },
    ],
    [
      'Gmail',
      lines`
        Return-Path: <>
        X-Failed-Recipients: ada@example.com
        From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
        To: bounces@acme.example
        Subject: Delivery Status Notification (Failure)

        Delivery to the following recipient failed permanently:

             ada@example.com

        Technical details of permanent failure:
        The error that the other server returned was: 550 550 5.1.1 No such user (state 13).

        ----- Original message -----

        Message-ID: <1@acme.example>
      `,
      { state: 'bounced' },
    ],
    [
      'Exchange',
      lines`
        Return-Path: <>
        From: postmaster@example.com
        To: bounces@acme.example
        Subject: Undeliverable: Hello

        Your message did not reach some or all of the intended recipients.

              Subject: Hello
              Sent:    3/1/2026 10:00 AM

        The following recipient(s) could not be reached:

              ada@example.com on 3/1/2026 10:00 AM
                    The e-mail account does not exist at the organization this message was sent to.
                    <mx.example.com #5.1.1>

        Original message headers:

        Message-ID: <1@acme.example>
      `,
      { state: 'bounced', enhanced: '5.1.1' },
    ],
    [
      'a warning',
      lines`
        Return-Path: <>
        From: Mail Delivery System <Mailer-Daemon@mx.example.com>
        To: bounces@acme.example
        Subject: Warning: message delayed 24 hours

        This message was created automatically by mail delivery software.
        A message that you sent has not yet been delivered to one or more of its recipients:

          ada@example.com
            Delay reason: connection timed out

        ------ This is a copy of your message, including all the headers. ------

        Message-ID: <1@acme.example>
      `,
      { state: 'delayed' },
    ],
  ])('is read: %s', (_, text, report) => {
    expect(read(text)).toMatchObject({
      source: 'bounce',
      messageIds: ['<1@acme.example>'],
      reports: [{ recipients: ['ada@example.com'], ...report }],
    })
  })

  it.each([
    ['an automatic reply', 'Auto-Submitted: auto-replied\nSubject: Could not be delivered'],
    ['an out-of-office reply', 'Return-Path: <>\nSubject: Out of office: Undeliverable'],
    ['a German out-of-office reply', 'Return-Path: <>\nSubject: Abwesenheitsnotiz: Undelivered'],
    ['a challenge', 'Return-Path: <>\nSubject: Please verify your message to ada: undelivered'],
    ['a reply of a person', 'From: Ada <ada@example.com>\nSubject: Re: failure notice'],
    ['something else without a reverse-path', 'Return-Path: <>\nSubject: Receipt'],
  ])('is not %s', (_, header) => {
    const text = `${header}\nTo: bounces@acme.example\n\nI am away.\n\n<ada@example.com>:\nback on Monday\n`
    expect(read(text)).toMatchObject({ source: 'other', reports: [] })
  })
})

describe('a hostile mail', () => {
  it.each(Object.entries(aborted))('is read in bounded time: %s', (_, make) => {
    const mail = readReportMail(make())
    expect(mail.reports.length).toBeLessThanOrEqual(1_000)
    expect(mail.addresses.length).toBeLessThanOrEqual(20)
  })
})
