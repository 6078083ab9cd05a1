import type { Mailer } from '../index.js'

/** Hands a report to the mailer. The address that it was sent to names the message, and is added as Delivered-To; without it, nothing proves the report. */
export async function takeReport(mailer: Mailer, octets: Buffer, to: readonly string[]): Promise<string> {
  const fields = to.map((address) => `Delivered-To: ${address}\r\n`).join('')
  const matched = await mailer.report({
    raw: Buffer.concat([Buffer.from(fields), octets]),
    unverified: true,
  })
  // A report about an unknown message is no reason for the server to report that in turn.
  return matched === 0 ? 'Report received, it matches no message' : 'Report received'
}
