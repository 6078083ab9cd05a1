import type { Mailbox } from '../../../src/protocol/tasks.js'
import type { MsgraphTransport } from '../../../src/protocol/transportConfig.js'
import { AccessTokens } from '../accessTokens.js'
import { attachmentsOf, fieldsOf, firstText, headersOf, subjectOf } from '../apiFields.js'
import type { MailServiceApi } from '../mailServiceApi.js'
import { connectionFailed } from '../sendResults.js'

/** Internet message headers that Graph accepts in one message. */
const MAX_HEADERS = 5

/** Microsoft Graph: https://learn.microsoft.com/graph/api/user-sendmail */
export function msgraphApi(config: MsgraphTransport): MailServiceApi {
  const { endpoint, user, tokenEndpoint, clientId, clientSecret, cell, publicOnly = false } = config
  const scope = `${new URL(endpoint).origin}/.default`
  const tokens = new AccessTokens(
    {
      grant: { grant: 'client_credentials', tokenEndpoint, clientId, clientSecret, scope },
      ...(cell === undefined ? {} : { cell }),
    },
    publicOnly,
  )
  const mailbox = `${endpoint}/v1.0/users/${encodeURIComponent(user)}`
  let token = ''
  /** A token that Graph refused: another one is requested. */
  let refused: string | undefined
  return {
    limits: { name: 'Microsoft Graph', maxRecipients: 500, maxSize: 4 * 1024 * 1024 },
    secrets: [clientSecret],
    async prepare(signal) {
      const result = await tokens.get(signal, refused)
      if (typeof result !== 'string') return connectionFailed(result)
      token = result
      return undefined
    },
    request(mail, { to, cc, bcc }) {
      const { payload, parts } = mail
      const html = parts.html !== ''
      const message = {
        subject: subjectOf(mail),
        body: { contentType: html ? 'HTML' : 'Text', content: html ? parts.html : parts.text },
        from: personOf(payload.from),
        ...(payload.sender === undefined ? {} : { sender: personOf(payload.sender) }),
        toRecipients: to.map(personOf),
        ccRecipients: cc.map(personOf),
        bccRecipients: bcc.map(personOf),
        replyTo: payload.replyTo.map(personOf),
        internetMessageId: payload.messageId,
        // Graph accepts only headers that begin with x-.
        internetMessageHeaders: headersOf(mail)
          .filter(([name]) => /^x-/i.test(name))
          .slice(0, MAX_HEADERS)
          .map(([name, value]) => ({ name, value })),
        categories: payload.tags,
        attachments: attachmentsOf(payload).map(({ filename, content, contentType, cid }) => ({
          '@odata.type': '#microsoft.graph.fileAttachment',
          name: filename,
          contentType,
          contentBytes: content,
          ...(cid === undefined ? {} : { contentId: cid, isInline: true }),
        })),
      }
      return {
        url: `${mailbox}/sendMail`,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ message, saveToSentItems: false }),
      }
    },
    read(response, body) {
      const { status, text } = response
      if (status < 300) return { text: firstText(response.header('request-id'), 'accepted') }
      if (status === 401) refused = token
      const { code, message } = fieldsOf(body['error'])
      const explanation = firstText(
        [code, message].filter((part) => typeof part === 'string').join(': '),
        text,
      )
      return { text: explanation.replaceAll(token, '***') }
    },
    verify: () => ({ url: mailbox, headers: { authorization: `Bearer ${token}` } }),
    // An application that may only send can't read the user.
    verified: ({ status }) => status === 403,
  }
}

function personOf({ name, address }: Mailbox): object {
  return { emailAddress: { address, ...(name === undefined || name === '' ? {} : { name }) } }
}
