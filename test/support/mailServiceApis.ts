import type { IncomingMessage, ServerResponse } from 'node:http'
import { type BatchDialect, type Dialect, INDISCREET, type Mood, SECRET, STATUS } from './mailApi.js'

type Failing = Exclude<Mood, 'ok' | 'hang' | 'drop' | 'lose'>

function answer(response: ServerResponse, status: number, body: object, mood?: Failing): void {
  response
    .writeHead(status, {
      'content-type': 'application/json',
      ...(mood === 'throttle' ? { 'retry-after': '1' } : {}),
    })
    .end(JSON.stringify(body))
}

interface Api {
  path: string
  /** The request that `verify()` makes. */
  verifyPath: string
  authorized: (request: IncomingMessage) => boolean
  recipients: (body: string) => string[]
  ok: object
  okStatus?: number
  error: (text: string, status: number) => object
  batch?: BatchDialect
}

/** The parts of an API that the suite looks at, from its documentation. */
function dialect({
  path,
  verifyPath,
  authorized,
  recipients,
  ok,
  okStatus = 200,
  error,
  batch,
}: Api): Dialect {
  return {
    ...(batch === undefined ? {} : { batch }),
    path,
    taken: (body) => ({ to: recipients(body), text: body }),
    ok: (response) => answer(response, okStatus, ok),
    error: (response, mood) =>
      answer(response, STATUS[mood], error(`no: ${mood}${INDISCREET}`, STATUS[mood]), mood),
    verify: (response, request, _body, mood) => {
      if (!authorized(request) || (request.url === verifyPath && mood === 'unauthorized')) {
        answer(response, 401, error(`not authorized${INDISCREET}`, 401))
        return true
      }
      if (request.url !== verifyPath) return false
      answer(response, 200, {})
      return true
    },
  }
}

const basic = (user: string): string => `Basic ${Buffer.from(`${user}:${SECRET}`).toString('base64')}`
const addressesOf = (text = ''): string[] =>
  text === '' ? [] : text.split(', ').map((each) => /<(.*)>$/.exec(each)?.[1] ?? each)

const elements = (body: string): string[] =>
  (JSON.parse(body) as unknown[]).map((message) => JSON.stringify(message))

export const POSTMARK = dialect({
  path: '/email',
  verifyPath: '/server',
  authorized: ({ headers }) => headers['x-postmark-server-token'] === SECRET,
  recipients: (body) => {
    const { To, Cc, Bcc } = JSON.parse(body) as Record<string, string>
    return [To, Cc, Bcc].flatMap(addressesOf)
  },
  ok: { To: '', SubmittedAt: '2026-01-01T00:00:00Z', MessageID: 'pm-1', ErrorCode: 0, Message: 'OK' },
  error: (Message) => ({ ErrorCode: 300, Message }),
  batch: {
    path: '/email/batch',
    messages: elements,
    respond: (response, refusals) =>
      answer(
        response,
        200,
        refusals.map((reason, index) =>
          reason === undefined
            ? { ErrorCode: 0, Message: 'OK', MessageID: `pm-${index}` }
            : { ErrorCode: 406, Message: reason },
        ),
      ),
    refuse: (response) => answer(response, 422, { ErrorCode: 402, Message: 'Invalid JSON' }),
  },
})

export const MAILGUN = dialect({
  path: '/v3/mg.acme.example/messages.mime',
  verifyPath: '/v3/domains/mg.acme.example',
  authorized: ({ headers }) => headers.authorization === basic('api'),
  recipients: (body) => [...body.matchAll(/form-data; name="to"\r\n\r\n(.*)\r\n/g)].map(([, to = '']) => to),
  ok: { id: '<mg-1>', message: 'Queued. Thank you.' },
  error: (message) => ({ message }),
})

export const RESEND = dialect({
  path: '/emails',
  verifyPath: '/domains',
  authorized: ({ headers }) => headers.authorization === `Bearer ${SECRET}`,
  recipients: (body) => {
    const { to, cc = [], bcc = [] } = JSON.parse(body) as Record<string, string[]>
    return [...(to ?? []), ...cc, ...bcc].flatMap(addressesOf)
  },
  ok: { id: 'rs-1' },
  error: (message, statusCode) => ({ statusCode, message, name: 'validation_error' }),
  batch: {
    path: '/emails/batch',
    messages: elements,
    respond: (response, refusals) =>
      answer(response, 200, {
        data: refusals.flatMap((reason, index) => (reason === undefined ? [{ id: `rs-${index}` }] : [])),
        errors: refusals.flatMap((message, index) => (message === undefined ? [] : [{ index, message }])),
      }),
    refuse: (response) => answer(response, 422, { name: 'validation_error', message: 'Invalid `to` field' }),
  },
})

export const BREVO = dialect({
  path: '/v3/smtp/email',
  verifyPath: '/v3/account',
  authorized: ({ headers }) => headers['api-key'] === SECRET,
  recipients: (body) => {
    const { to, cc = [], bcc = [] } = JSON.parse(body) as Record<string, { email: string }[]>
    return [...(to ?? []), ...cc, ...bcc].map(({ email }) => email)
  },
  ok: { messageId: '<bv-1>' },
  okStatus: 201,
  error: (message) => ({ code: 'invalid_parameter', message }),
})

export const MAILJET = dialect({
  path: '/v3.1/send',
  verifyPath: '/v3/REST/myprofile',
  authorized: ({ headers }) => headers.authorization === basic('key'),
  recipients: (body) => {
    const { Messages } = JSON.parse(body) as { Messages: Record<string, { Email: string }[]>[] }
    const { To = [], Cc = [], Bcc = [] } = Messages[0] ?? {}
    return [...To, ...Cc, ...Bcc].map(({ Email }) => Email)
  },
  ok: { Messages: [{ Status: 'success', To: [{ Email: '', MessageID: 123, MessageUUID: 'mj-1' }] }] },
  error: (ErrorMessage, StatusCode) => ({
    Messages: [{ Status: 'error', Errors: [{ ErrorCode: 'send-0001', StatusCode, ErrorMessage }] }],
  }),
  batch: {
    path: '/v3.1/send',
    messages: (body) =>
      (JSON.parse(body) as { Messages: unknown[] }).Messages.map((message) =>
        JSON.stringify({ Messages: [message] }),
      ),
    respond: (response, refusals) =>
      answer(response, refusals.some((reason) => reason !== undefined) ? 400 : 200, {
        Messages: refusals.map((ErrorMessage, index) =>
          ErrorMessage === undefined
            ? { Status: 'success', To: [{ MessageID: 1_000 + index }] }
            : { Status: 'error', Errors: [{ ErrorCode: 'mj-0013', StatusCode: 400, ErrorMessage }] },
        ),
      }),
    refuse: (response) => answer(response, 400, { StatusCode: 400, ErrorMessage: 'Malformed JSON' }),
  },
})

const TOKEN = 'eyJ0-canary-token-0123456789abcdef'

const graph = dialect({
  path: '/v1.0/users/shop%40acme.example/sendMail',
  verifyPath: '/v1.0/users/shop%40acme.example',
  authorized: ({ headers }) => headers.authorization === `Bearer ${TOKEN}`,
  recipients: (body) => {
    const { message } = JSON.parse(body) as {
      message: Record<string, { emailAddress: { address: string } }[]>
    }
    const { toRecipients = [], ccRecipients = [], bccRecipients = [] } = message
    return [...toRecipients, ...ccRecipients, ...bccRecipients].map(
      ({ emailAddress }) => emailAddress.address,
    )
  },
  ok: {},
  okStatus: 202,
  error: (message) => ({ error: { code: 'ErrorInvalidRequest', message: `${message} ${TOKEN}` } }),
})

export const MSGRAPH: Dialect = {
  ...graph,
  verify: (response, request, body, mood) => {
    if (request.url !== '/tenant/oauth2/v2.0/token') return graph.verify(response, request, body, mood)
    const form = new URLSearchParams(body)
    if (form.get('client_secret') === SECRET && form.get('grant_type') === 'client_credentials')
      answer(response, 200, { token_type: 'Bearer', expires_in: 3599, access_token: TOKEN })
    else answer(response, 401, { error: 'invalid_client', error_description: `wrong${INDISCREET}` })
    return true
  },
}
