import { describe, expect, it } from 'vitest'
import { reportReader } from '../../src/feedback/mail/reportMail.js'

describe('the thread that reads reports', () => {
  it('is started again after it has ended, and what it was reading is to be reported again', async () => {
    // The thread can't start within a millisecond.
    const reader = reportReader(1)
    const raw = Buffer.from('Subject: Hello\r\n\r\nHello')
    const results = await Promise.allSettled([reader.read(raw), reader.read(raw)])
    for (const result of results)
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'QUEUE_UNAVAILABLE' } })
    expect(await reportReader().read(raw)).toMatchObject({ source: 'other', reports: [] })
  })

  it('derives all that depends on the length of texts', async () => {
    const raw = [
      'Content-Type: multipart/report; report-type=delivery-status; boundary=b',
      '',
      '--b',
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; mx.example',
      '',
      'Final-Recipient: rfc822; ADA@Bücher.example',
      'Action: failed',
      `Diagnostic-Code: smtp; 550 5.1.1 no such user${' x'.repeat(50_000)}`,
      '--b--',
    ]
    const mail = await reportReader().read(Buffer.from(raw.join('\r\n')))
    expect(mail?.reports).toMatchObject([
      {
        recipient: 'ADA@Bücher.example',
        key: 'ada@xn--bcher-kva.example',
        delivery: { state: 'bounced', source: 'dsn', category: 'mailbox', permanent: true },
      },
    ])
    expect(mail?.reports[0]?.delivery.detail?.length).toBeLessThanOrEqual(500)
  })
})
