import { ThreadpostError } from '../../errors.js'
import { ThreadReader } from '../../mime/threadReader.js'
import { packagedFile } from '../../protocol/threadFile.js'
import { type BouncePlan, idInBounceAddress } from '../bounceAddress.js'
import type { CheckedReport } from '../deliveryReport.js'
import type { Delivery } from '../deliveryStates.js'
import { MAX_READ } from './parseReportMail.js'
import type { ReadMail, ReadReport } from './reportThread.js'

/** A report that a server dates further ahead, or before, has a wrong clock. */
const MAX_AHEAD = 24 * 60 * 60 * 1000
const EARLIEST = Date.UTC(2000, 0)

/** Milliseconds for reading one mail. */
const TIMEOUT = 10_000
/** Megabytes that the thread may use. */
const MEMORY = 128

let reader: ThreadReader<ReadMail> | undefined

/** Returns a thread that reads mails with reports. @param timeout milliseconds for reading one mail */
export function reportReader(timeout: number = TIMEOUT): ThreadReader<ReadMail> {
  return new ThreadReader({
    file: packagedFile('src/feedback/mail/reportThread.js', 'the code that reads reports'),
    name: 'readReports',
    timeout,
    memory: MEMORY,
    failure: () =>
      new ThreadpostError(
        'QUEUE_UNAVAILABLE',
        "The mail with reports can't be read at the moment; report it again",
      ),
  })
}

/**
 * Reads a mail in a thread.
 * @returns undefined if it can't be read
 * @throws ThreadpostError `QUEUE_UNAVAILABLE` if the thread ended before that
 */
export function readMail(raw: Uint8Array): Promise<ReadMail | undefined> {
  return (reader ??= reportReader()).read(raw.subarray(0, MAX_READ))
}

/**
 * The reports in a mail, each with the message that it is about: the one whose token is in the address that the mail was sent to, or
 * else the one that is returned. The latter needs the recipient as well: Message-IDs are no secret. If messages have tokens, or anyone
 * may have sent the mail, a report without one is unverified.
 */
export function reportsOfMail(
  mail: ReadMail,
  bounces: BouncePlan | undefined,
  unverified: boolean,
  now: number,
): CheckedReport[] {
  const id = bounces && mail.addresses.map((address) => idInBounceAddress(bounces, address)).find(Boolean)
  const [messageId] = mail.messageIds
  return mail.reports.map((report): CheckedReport => {
    const delivery = toDelivery(report, now)
    const { recipient, key } = report
    const named = recipient === undefined || key === undefined ? {} : { recipient, key }
    if (id !== undefined) return { id, orOnly: true, ...named, delivery }
    if (recipient === undefined || messageId === undefined) return { ...named, delivery }
    if (unverified || bounces !== undefined) delivery.unverified = true
    return { messageId, ...named, delivery }
  })
}

function toDelivery({ at = 0, delivery }: ReadReport, now: number): Delivery {
  const time = at > now + MAX_AHEAD || at < EARLIEST ? now : at
  return { ...delivery, at: new Date(time).toISOString() }
}
