/** Mails that report what happened to a message, as servers write them. */

/** A text without the indentation of the code around it, with CRLF. */
export function lines(strings: TemplateStringsArray): string {
  const all = (strings[0] ?? '').replace(/^\n/, '').split('\n')
  const indent = /^ */.exec(all[0] ?? '')?.[0].length ?? 0
  return all.map((line) => line.slice(indent)).join('\r\n')
}

interface DsnRecipient {
  address: string
  original?: string
  action: string
  status: string
  diagnostic?: string
}

interface Dsn {
  to?: string
  messageId?: string
  recipients: readonly DsnRecipient[]
}

export function dsn({
  to = 'bounces@acme.example',
  messageId = '<1@acme.example>',
  recipients,
}: Dsn): string {
  const groups = recipients.map(({ address, original, action, status, diagnostic }) =>
    [
      ...(original === undefined ? [] : [`Original-Recipient: ${original}`]),
      `Final-Recipient: rfc822; ${address}`,
      `Action: ${action}`,
      `Status: ${status}`,
      ...(diagnostic === undefined ? [] : [`Diagnostic-Code: ${diagnostic}`]),
      '',
    ].join('\n'),
  )
  return `Return-Path: <>
From: MAILER-DAEMON@mx.example.com (Mail Delivery System)
To: ${to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Date: Sun, 1 Mar 2026 10:00:00 +0000 (UTC)
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain

This is the mail system at host mx.example.com.

--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com
Arrival-Date: Sun, 1 Mar 2026 09:59:00 +0000 (UTC)

${groups.join('\n')}
--b1
Content-Type: text/rfc822-headers

Message-ID: ${messageId}
Subject: Hello

--b1--
`.replaceAll('\n', '\r\n')
}

interface Arf {
  type: string
  recipient?: string
  messageId?: string
}

export function arf({ type, recipient, messageId = '<1@acme.example>' }: Arf): string {
  return `From: <abuse@isp.example>
To: <complaints@acme.example>
Subject: FW: Hello
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b1"

--b1
Content-Type: text/plain; charset="US-ASCII"

This is an email abuse report.

--b1
Content-Type: message/feedback-report

Feedback-Type: ${type}
User-Agent: SomeGenerator/1.0
Version: 1
${recipient === undefined ? '' : `Original-Rcpt-To: <${recipient}>\n`}Arrival-Date: Sun, 1 Mar 2026 10:00:00 +0000

--b1
Content-Type: message/rfc822

From: <news@acme.example>
Message-ID: ${messageId}
Subject: Hello

Hello
--b1--
`.replaceAll('\n', '\r\n')
}

const MEGABYTE = 1024 * 1024

/** Mails that would be expensive for a reader that is not careful. */
export const aborted: Readonly<Record<string, () => Buffer>> = {
  'a megabyte of nested multiparts': () =>
    Buffer.from(
      Array.from(
        { length: 10_000 },
        (_, n) => `Content-Type: multipart/mixed; boundary="b${n}"\r\n\r\n--b${n}\r\n`,
      ).join(''),
    ),
  'a bomb of headers': () =>
    Buffer.from('Return-Path: <>\r\n' + 'X-Failed-Recipients: a@b.example,\r\n'.repeat(100_000) + '\r\n'),
  'a header of a megabyte': () =>
    Buffer.from(`Subject: ${'out of '.repeat(MEGABYTE / 7)}\r\nReturn-Path: <>\r\n\r\nundelivered`),
  'a status of a megabyte in one line': () =>
    Buffer.from(
      `Content-Type: message/delivery-status\r\n\r\nAction: failed\r\nFinal-Recipient: rfc822;${'a'.repeat(MEGABYTE)}`,
    ),
  'a status of endless continuations': () =>
    Buffer.from(`Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n${' x\r\n'.repeat(500_000)}`),
  'a million addresses': () =>
    Buffer.from(
      `Return-Path: <>\r\nSubject: failure notice\r\n\r\n${'<a@b.example>:\r\nno\r\n\r\n'.repeat(100_000)}`,
    ),
  'a line of spaces': () =>
    Buffer.from(`Return-Path: <>\r\nSubject: failure notice\r\n\r\n${' '.repeat(MEGABYTE)}x`),
  'a line of message': () =>
    Buffer.from(`Return-Path: <>\r\nSubject: failure notice\r\n\r\n${'message-id: '.repeat(100_000)}`),
}
