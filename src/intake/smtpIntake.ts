import type { Mailer, Receipt } from '../index.js'
import { urlOf } from '../web/listen.js'
import { type ResolvedSmtpIntake, resolveSmtpIntake, type SmtpIntakeOptions } from './smtpIntakeOptions.js'
import { isRefusal, replyTo, type SmtpRefusal } from './smtpReply.js'
import type { SubmissionPolicy } from './submissionPolicy.js'
import { type ReceivedSubmission, SubmissionServer } from './submissionServer.js'
import { sendSubmitted, submittedMailOf } from './submittedMail.js'

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
  { message, from, to, isReport, submitter, source }: ReceivedSubmission,
  policy: SubmissionPolicy,
): Promise<string | SmtpRefusal> {
  if (isReport) return takeReport(mailer, message.octets, to)
  const submitted = submittedMailOf(message, { from, to }, source, settings)
  if (isRefusal(submitted)) return submitted
  const notAllowed = policy.refusedAuthors(submitter, submitted.authorFields)
  if (notAllowed !== undefined) return notAllowed
  const send = () => sendSubmitted(mailer, submitted)
  const sent =
    submitter.user === undefined ? send() : mailer.runWithContext({ submittedBy: submitter.user }, send)
  const receipt = await sent
  return isRefusal(receipt) ? receipt : replyFor(receipt)
}

function replyFor({ id, duplicate, durable }: Receipt): string {
  return `${duplicate ? 'Already queued as' : 'Queued as'} ${id}${durable ? '' : ', in memory only'}`
}

/** Bytes of a report that are read, and so need a copy. */
const REPORT_READ = 4 * 1024 * 1024

/** Hands a report to the mailer. The address that it was sent to names the message, and is added as Delivered-To; without it, nothing proves the report. */
async function takeReport(mailer: Mailer, octets: Buffer, to: readonly string[]): Promise<string> {
  const fields = to.map((address) => `Delivered-To: ${address}\r\n`).join('')
  const matched = await mailer.report({
    raw: Buffer.concat([Buffer.from(fields), octets.subarray(0, REPORT_READ)]),
    unverified: true,
  })
  // A report about an unknown message is no reason for the server to report that in turn.
  return matched === 0 ? 'Report received; it matches no message' : 'Report received'
}
