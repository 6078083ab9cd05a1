import { addressKey } from '../../protocol/addressForms.js'
import { suppressionKey } from '../../suppressions/suppression.js'
import { cleanDetail, complete } from '../deliveryReport.js'
import type { Delivery } from '../deliveryStates.js'
import { type MailReport, readReportMail, type ReportMail } from './parseReportMail.js'

/** The report of a mail on one recipient, with all that has to be derived from its texts. */
export interface ReadReport {
  recipient?: string
  /** The form of the recipient in which addresses are compared. */
  key?: string
  /** Milliseconds since the epoch. */
  at?: number
  delivery: Omit<Delivery, 'at'>
}

export interface ReadMail extends Omit<ReportMail, 'reports'> {
  reports: ReadReport[]
}

/** Reads a mail in the thread, so that the main thread has nothing left to do that depends on the length of its texts. */
export function readReports(raw: Uint8Array): ReadMail {
  const { reports, ...mail } = readReportMail(raw)
  return { ...mail, reports: reports.map((report) => toReadReport(report, mail.source)) }
}

function toReadReport({ recipients, state, at, enhanced, detail }: MailReport, source: string): ReadReport {
  const delivery: ReadReport['delivery'] = { state, source }
  if (enhanced !== undefined) delivery.enhanced = enhanced
  if (detail !== undefined && detail !== '') delivery.detail = cleanDetail(detail)
  complete(delivery)
  const [recipient] = recipients.filter(isAddress)
  return {
    ...(recipient === undefined ? {} : { recipient, key: suppressionKey(recipient) }),
    ...(at === undefined ? {} : { at }),
    delivery,
  }
}

/** Whether the text has the form of an address; it is compared with the message's recipients only. */
function isAddress(text: string): boolean {
  return text.length <= 320 && addressKey(text).includes('@')
}
