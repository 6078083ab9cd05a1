import { describe, expect, it } from 'vitest'
import { reportReader } from '../../src/feedback/mail/mailReports.js'

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
})
