import { createHash } from 'node:crypto'
import { type Mail, type Mailer, type Receipt, ThreadpostError } from '../index.js'
import { urlOf } from '../web/listen.js'
import { readControls } from './controlFields.js'
import { partsMailOf, templateMailOf } from './mimeMail.js'
import { type ResolvedSmtpIntake, resolveSmtpIntake, type SmtpIntakeOptions } from './smtpIntakeOptions.js'
import { isRefusal, replyTo, type SmtpRefusal } from './smtpReply.js'
import type { SubmissionPolicy } from './submissionPolicy.js'
import { type ReceivedSubmission, SubmissionServer } from './submissionServer.js'
import { readSubmitted, type SubmittedMessage } from './submittedMessage.js'

/** A running SMTP server that passes mail to a mailer. */
export interface SmtpIntake {
  /** `smtp://127.0.0.1:2525`, without credentials; `smtps:` with implicit TLS. */
  readonly url: string
  readonly host: string
  readonly port: number
  /** Number of open connections. */
  readonly connections: number
  /**
   * Stops listening, and ends connections after their messages in progress, at the latest after `deadline` ms (10,000). The mailer
   * stays open; close it afterwards.
   */
  close(options?: { deadline?: number }): Promise<void>
}

/**
 * Starts an SMTP server for mail submission (RFC 6409). It replies 250 once the queue has stored the message, and names its id.
 * `QUEUE_FULL` becomes the reply 452, `QUEUE_UNAVAILABLE` 451.
 * @throws ThreadpostError `INVALID_OPTIONS`, and the error of a port that can't be opened
 */
export async function smtpIntake(mailer: Mailer, options: SmtpIntakeOptions = {}): Promise<SmtpIntake> {
  const settings = resolveSmtpIntake(options)
  const server = new SubmissionServer(settings, (submission, policy) =>
    submit(mailer, settings, submission, policy).catch(replyTo),
  )
  const address = await server.listen()
  let closed: Promise<void> | undefined
  return {
    url: urlOf(settings.tls?.implicit === true ? 'smtps' : 'smtp', address),
    host: address.address,
    port: address.port,
    get connections() {
      return server.connections
    },
    close: ({ deadline = 10_000 } = {}) => (closed ??= server.close(deadline)),
  }
}

async function submit(
  mailer: Mailer,
  settings: ResolvedSmtpIntake,
  { octets, from, to, submitter, source }: ReceivedSubmission,
  policy: SubmissionPolicy,
): Promise<string | SmtpRefusal> {
  const message = readSubmitted(octets, source, settings.limits)
  if (isRefusal(message)) return message
  const notAllowed = policy.refusedAuthors(submitter, message.authors)
  if (notAllowed !== undefined) return notAllowed
  const controls = readControls(message.controls)
  if (isRefusal(controls)) return controls
  const delivery = { ...keyOf(settings, message, from, to), ...controls.delivery }
  const send = (mail: Record<string, unknown>): Promise<Receipt> => {
    const sent = () => mailer.send({ ...mail, ...delivery } as unknown as Mail)
    return submitter.user === undefined
      ? sent()
      : mailer.runWithContext({ submittedBy: submitter.user }, sent)
  }
  if (controls.template !== undefined) {
    const mail = templateMailOf(message.octets, { from, to }, controls.template)
    return isRefusal(mail) ? mail : replyFor(await send(mail))
  }
  try {
    return replyFor(await send({ raw: rawOf(message.octets), envelope: { from, to } }))
  } catch (error) {
    if (!(error instanceof ThreadpostError) || error.code !== 'UNSUPPORTED' || error.path !== 'raw')
      throw error
    const mail = partsMailOf(message.octets, { from, to })
    return isRefusal(mail) ? mail : replyFor(await send(mail))
  }
}

/** Text that is ASCII is its own octets, and is not copied. */
function rawOf(octets: string): string | Buffer {
  return /^[\x00-\x7f]*$/.test(octets) ? octets : Buffer.from(octets, 'latin1')
}

/**
 * The recipients are part of the key: a client may submit one message to some recipients now and to others later. So is the sender, who
 * could otherwise keep another's message from being sent.
 */
function keyOf(
  { deduplicate }: ResolvedSmtpIntake,
  { messageId }: SubmittedMessage,
  from: string,
  to: readonly string[],
): { idempotencyKey?: string } {
  if (!deduplicate || messageId === undefined) return {}
  const hash = createHash('sha256').update(JSON.stringify([messageId, from, [...to].sort()]))
  return { idempotencyKey: `message-id ${hash.digest('base64url')}` }
}

function replyFor({ id, duplicate, durable }: Receipt): string {
  return `${duplicate ? 'Already queued as' : 'Queued as'} ${id}${durable ? '' : ', in memory only'}`
}
