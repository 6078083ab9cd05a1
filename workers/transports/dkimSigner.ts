import DKIM from 'nodemailer/lib/dkim'
import type { DkimKey } from '../../src/protocol/transportConfig.js'

/** The header fields to sign, if present: RFC 6376 section 5.4.1, and those that RFC 8058 section 4 requires. */
const FIELDS = [
  'From',
  'Reply-To',
  'Subject',
  'Date',
  'Message-ID',
  'To',
  'Cc',
  'MIME-Version',
  'Content-Type',
  'Content-Transfer-Encoding',
  'In-Reply-To',
  'References',
  'List-Id',
  'List-Unsubscribe',
  'List-Unsubscribe-Post',
  'Auto-Submitted',
].join(':')

/** Prepends a DKIM-Signature (RFC 6376) for each key to a message. */
export class DkimSigner {
  readonly #dkim: DKIM

  constructor(keys: readonly DkimKey[]) {
    this.#dkim = new DKIM({
      keys: keys.map(({ domain, selector, privateKey }) => ({
        domainName: domain,
        keySelector: selector,
        privateKey,
      })),
      headerFieldNames: FIELDS,
    })
  }

  /** @param message in its final form, with CRLF line endings */
  sign(message: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      const signed = this.#dkim.sign(message)
      signed.on('data', (chunk: Buffer) => chunks.push(chunk))
      signed.once('error', reject)
      signed.once('end', () => {
        resolve(Buffer.concat(chunks))
      })
    })
  }
}
