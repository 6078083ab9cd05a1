import { randomBytes } from 'node:crypto'
import type { MailgunTransport } from '../../../src/protocol/transportConfig.js'
import { basic, firstText, metadataOf } from '../apiFields.js'
import type { MailServiceApi } from '../mailServiceApi.js'

/** Mailgun's API for finished messages: https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages */
export function mailgunApi({ endpoint, apiKey, domain, sandbox }: MailgunTransport): MailServiceApi {
  const headers = { authorization: basic('api', apiKey) }
  return {
    limits: { name: 'Mailgun', maxRecipients: 1_000, maxSize: 25 * 1024 * 1024 },
    secrets: [apiKey],
    raw: true,
    envelope: true,
    request({ payload, composed }, { to, cc, bcc }) {
      const boundary = `threadpost-${randomBytes(18).toString('hex')}`
      const fields: [name: string, value: string][] = [
        ...[...to, ...cc, ...bcc].map(({ address }): [string, string] => ['to', address]),
        ...(payload.tags ?? []).map((tag): [string, string] => ['o:tag', tag]),
        ...(sandbox === true ? [['o:testmode', 'yes'] as [string, string]] : []),
        ...Object.entries(metadataOf(payload)).map(([name, value]): [string, string] => [`v:${name}`, value]),
      ]
      const parts = fields.map(([name, value]) =>
        Buffer.from(`--${boundary}\r\n${disposition(name)}\r\n\r\n${value}\r\n`),
      )
      const file = `--${boundary}\r\n${disposition('message')}; filename="message.eml"\r\ncontent-type: message/rfc822\r\n\r\n`
      return {
        url: `${endpoint}/v3/${encodeURIComponent(domain)}/messages.mime`,
        headers: { ...headers, 'content-type': `multipart/form-data; boundary=${boundary}` },
        body: Buffer.concat([
          ...parts,
          Buffer.from(file),
          composed.bytes,
          Buffer.from(`\r\n--${boundary}--\r\n`),
        ]),
      }
    },
    read({ status, text }, body) {
      const { id, message } = body
      return { text: status < 300 ? firstText(id, 'accepted') : firstText(message, text) }
    },
    verify: () => ({ url: `${endpoint}/v3/domains/${encodeURIComponent(domain)}`, headers }),
  }
}

/** The name of a field of a form (RFC 7578). */
function disposition(name: string): string {
  return `content-disposition: form-data; name="${name.replace(/[\r\n"]/g, (character) => encodeURIComponent(character))}"`
}
