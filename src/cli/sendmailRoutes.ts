import { hostname } from 'node:os'
import { createMailer } from '../createMailer.js'
import { ThreadpostError } from '../errors.js'
import type { LocalMessage } from '../intake/localMessage.js'
import type { MailFields } from '../intake/mimeMail.js'
import { DEFAULT_LIMITS } from '../intake/smtpIntakeOptions.js'
import { isRefusal, type SmtpRefusal } from '../intake/smtpReply.js'
import { sendSubmitted, type SubmittedMail, submittedMailOf } from '../intake/submittedMail.js'
import { mailDate } from '../intake/traceFields.js'
import type { MessageEvent } from '../telemetry/events.js'
import { EX } from './exitCodes.js'
import { queueOption, type QueueSettings } from './settings.js'

/** The result of a submission: an exit code, what to tell the user, and the id of the message if it is known. */
export interface Submitted {
  code: number
  text: string
  id?: string
}

/** Time in milliseconds after which a service counts as not answering. */
const PATIENCE = 60_000

/** Submits the message to the SMTP server of a running service, which adds what is missing. */
export async function submitOverSmtp({ octets, envelope }: LocalMessage, url: string): Promise<Submitted> {
  const mailer = await createMailer({
    transport: url,
    threads: 0,
    retry: { attempts: 1 },
    limits: { recipients: 10_000, message: 2 ** 29 },
  })
  try {
    const { id } = await mailer.send({
      raw: Buffer.from(octets, 'latin1'),
      envelope: { from: envelope.from, to: envelope.to.map((address) => ({ address })) },
      expiresAt: Date.now() + PATIENCE,
    })
    let resolve: (result: Submitted) => void = () => undefined
    const result = new Promise<Submitted>((done) => (resolve = done))
    // The first attempt decides: the program that called this command tries again, or doesn't.
    for (const status of ['sent', 'partial', 'failed', 'deferred', 'held', 'expired'] as const)
      mailer.on(status, (event: MessageEvent) => {
        if (event.id === id) resolve(resultOf(event))
      })
    const timer = setTimeout(
      () => resolve({ code: EX.TEMPFAIL, text: 'the server did not answer in time' }),
      PATIENCE,
    )
    return await result.finally(() => clearTimeout(timer))
  } finally {
    await mailer.close({ deadline: 0 })
  }
}

function resultOf({ status, outcome }: MessageEvent): Submitted {
  const { code = 'UNKNOWN', message = status, reply } = outcome ?? {}
  const text = reply === undefined ? message : `${reply.code} ${reply.text}`
  if (status === 'sent') return { code: EX.OK, text, ...idIn(text) }
  if (status === 'partial') return { code: EX.NOUSER, text: `some recipients were refused: ${text}` }
  if (code === 'AUTH_FAILED') return { code: EX.NOPERM, text }
  return { code: status === 'failed' && outcome?.result === 'rejected' ? EX.UNAVAILABLE : EX.TEMPFAIL, text }
}

function idIn(reply: string): { id?: string } {
  const [id] = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(reply) ?? []
  return id === undefined ? {} : { id }
}

/** Submits the message to the HTTP API of a running service. */
export async function submitOverHttp(
  message: LocalMessage,
  url: string,
  token: string | undefined,
): Promise<Submitted> {
  const submitted = mailFor(message)
  if (isRefusal(submitted)) return { code: EX.DATAERR, text: submitted.text }
  const endpoint = new URL('mail/messages', url.endsWith('/') ? url : `${url}/`)
  const post = async (mail: MailFields): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === undefined || token === '' ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(withTextForBytes(mail)),
      signal: AbortSignal.timeout(PATIENCE),
    })
    return {
      status: response.status,
      body: (await response.json().catch(() => ({}))) as Record<string, unknown>,
    }
  }
  try {
    let { status, body } = await post(submitted.mail)
    if (body['code'] === 'UNSUPPORTED' && body['path'] === 'raw' && submitted.inParts !== undefined) {
      const parts = submitted.inParts()
      if (isRefusal(parts)) return { code: EX.DATAERR, text: parts.text }
      ;({ status, body } = await post(parts))
    }
    if (status < 300)
      return { code: EX.OK, text: 'queued', ...(typeof body['id'] === 'string' ? { id: body['id'] } : {}) }
    const { detail = 'the service refused the message' } = body as { detail?: string }
    const text = `${status} ${detail}`
    if (status === 404)
      return {
        code: EX.CONFIG,
        text: `${endpoint.href} is not the HTTP API of a mail service; the URL is that of threadpost serve, such as http://127.0.0.1:3000`,
      }
    if (status === 401 || status === 403) return { code: EX.NOPERM, text }
    return { code: status === 429 || status >= 500 ? EX.TEMPFAIL : EX.DATAERR, text }
  } catch (error) {
    return { code: EX.TEMPFAIL, text: `the service can't be reached: ${(error as Error).message}` }
  }
}

/** Bytes as base64, as the HTTP API takes them. */
function withTextForBytes(mail: MailFields): MailFields {
  const { raw, attachments } = mail
  return {
    ...mail,
    ...(raw instanceof Uint8Array ? { raw: { base64: Buffer.from(raw).toString('base64') } } : {}),
    ...(Array.isArray(attachments)
      ? {
          attachments: attachments.map(({ content, ...file }: { content: Uint8Array }) => ({
            ...file,
            content: Buffer.from(content).toString('base64'),
            encoding: 'base64',
          })),
        }
      : {}),
  }
}

/** Puts the message into a queue that another process delivers from. */
export async function submitLocally(
  message: LocalMessage,
  settings: QueueSettings & { queue: string },
): Promise<Submitted> {
  if (!/^[a-z]+:/i.test(settings.queue))
    throw new ThreadpostError(
      'INVALID_OPTIONS',
      `--queue: a queue in memory would end with this command; use sqlite:PATH or another durable queue`,
      { path: '--queue' },
    )
  const submitted = mailFor(message)
  if (isRefusal(submitted)) return { code: EX.DATAERR, text: submitted.text }
  const mailer = await createMailer({ role: 'send', queue: queueOption(settings) ?? settings.queue })
  try {
    const receipt = await sendSubmitted(mailer, submitted)
    return isRefusal(receipt)
      ? { code: EX.DATAERR, text: receipt.text }
      : { code: EX.OK, text: 'queued', id: receipt.id }
  } finally {
    await mailer.close()
  }
}

function mailFor({ octets, envelope }: LocalMessage): SubmittedMail | SmtpRefusal {
  const now = new Date()
  const source = {
    greeting: 'localhost',
    address: '127.0.0.1',
    server: hostname(),
    protocol: 'LOCAL',
    id: String(process.pid),
    date: mailDate(now),
  }
  const received = { octets: Buffer.from(octets, 'latin1'), headroom: 0 }
  return submittedMailOf(received, envelope, source, { limits: DEFAULT_LIMITS, deduplicate: false })
}
