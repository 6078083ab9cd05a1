import type { SESv2Client } from '@aws-sdk/client-sesv2'
import nodemailer from 'nodemailer'
import type { SesTransport, TransportReport } from '../../src/protocol/transportConfig.js'
import { whileLoading } from '../heartbeat.js'
import { type Answer, ServiceAnswers, retryAfterOf } from './serviceAnswers.js'
import { withTimeout, loaded, reportOf } from './serviceReport.js'
import { SingleCallSender } from './singleCallSender.js'
import type { SendResult, OutgoingMail, Progress, Transport } from './transport.js'
import { undelivered } from './unsentOutcomes.js'

/** Milliseconds. The attempt has a limit of its own, which is longer or shorter. */
const CONNECT_LIMIT = 10_000

/** The account, or its keys: no message is to blame. */
const NOT_LET_IN =
  /^(?:AccessDenied|AccountSuspended|CredentialsProvider|ExpiredToken|IncompleteSignature|InvalidClientTokenId|InvalidSignature|MissingAuthenticationToken|NotAuthorized|SendingPaused|SignatureDoesNotMatch|UnrecognizedClient)/
const TOO_MUCH = /^(?:TooManyRequests|Throttl|LimitExceeded|RequestLimitExceeded|SlowDown)/

/** How the SDK says it, without a code. */
const NEVER_CONNECTED = /did not establish a connection/

interface Ready {
  client: SESv2Client
  send(parcel: OutgoingMail): Promise<{ response: string }>
  verify(): Promise<void>
}

/** Amazon SES by nodemailer's transport for it. The message goes as it is; the recipients are the envelope's. */
export class SesSender implements Transport {
  readonly #config: SesTransport
  readonly #answers: ServiceAnswers
  readonly #handOver: SingleCallSender
  readonly #ready: Promise<Ready>

  constructor(config: SesTransport, requests: number) {
    this.#config = config
    const { secretAccessKey = '', sessionToken = '' } = config.credentials ?? {}
    this.#answers = new ServiceAnswers([secretAccessKey, sessionToken])
    this.#handOver = new SingleCallSender(requests)
    this.#ready = open(config)
    this.#ready.catch(() => undefined)
  }

  async ready(): Promise<void> {
    await this.#ready
  }

  send(parcel: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    const { to } = parcel.envelope
    return this.#handOver.run(parcel, progress, deadline, async () => {
      const ready = await this.#ready.catch((error: unknown) => this.#problem(error))
      if ('verdict' in ready) return ready
      try {
        return this.#answers.answered({ status: 200, text: (await ready.send(parcel)).response }, to)
      } catch (error) {
        return this.#failed(error, to)
      }
    })
  }

  async verify(): Promise<TransportReport> {
    const { name, endpoint, region = '' } = this.#config
    const url = new URL(endpoint ?? `https://email.${region}.amazonaws.com`)
    const place = {
      transport: name,
      host: url.hostname,
      port: Number(url.port) || (url.protocol === 'http:' ? 80 : 443),
    }
    return reportOf(place, async () => {
      const ready = await this.#ready.catch((error: unknown) => this.#problem(error))
      if ('verdict' in ready) return ready
      try {
        await withTimeout(ready.verify())
        return this.#answers.answered({ status: 200, text: 'ready' }, [])
      } catch (error) {
        return this.#failed(error, [])
      }
    })
  }

  async retire(heir: Transport): Promise<void> {
    await this.#handOver.retire(heir)
    await this.#close()
  }

  async quit(): Promise<void> {
    await this.#handOver.quit()
    await this.#close()
  }

  #close(): Promise<void> {
    return this.#ready.then(({ client }) => client.destroy()).catch(() => undefined)
  }

  #problem(error: unknown): SendResult {
    return undelivered({ code: 'CONNECTION_FAILED', message: this.#answers.problem(error) })
  }

  #failed(error: unknown, to: readonly string[]): SendResult {
    if (NEVER_CONNECTED.test((error as ServiceError).message)) return this.#problem(error)
    const answer = answerIn(error as ServiceError)
    return answer === undefined ? this.#answers.failed(error, to) : this.#answers.answered(answer, to)
  }
}

async function open({ region, credentials, endpoint, configurationSet }: SesTransport): Promise<Ready> {
  const { SESv2Client, SendEmailCommand } = await loaded(
    whileLoading(() => import('@aws-sdk/client-sesv2')),
    '@aws-sdk/client-sesv2',
    'Amazon SES needs the package',
  )
  const client = new SESv2Client({
    ...(region === undefined ? {} : { region }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(endpoint === undefined ? {} : { endpoint }),
    // One queue and one retry brain: nothing else sends a mail again.
    maxAttempts: 1,
    requestHandler: { connectionTimeout: CONNECT_LIMIT },
  })
  await client.config.region().catch(() => {
    throw new Error("Amazon SES needs a region: write 'ses://eu-central-1', or set AWS_REGION")
  })
  const transporter = nodemailer.createTransport({ SES: { sesClient: client, SendEmailCommand } })
  return {
    client,
    send: ({ envelope, bytes }) =>
      transporter.sendMail({
        raw: bytes,
        envelope: { from: envelope.from, to: [...envelope.to] },
        ...(configurationSet === undefined ? {} : { ses: { ConfigurationSetName: configurationSet } }),
      }),
    verify: async () => {
      await transporter.verify()
    },
  }
}

interface ServiceError {
  name: string
  message: string
  $metadata?: { httpStatusCode?: number }
  $response?: { headers?: Record<string, string> }
}

/** An exception of the service has its status; without one no answer came, or nothing was ever asked. */
function answerIn({ name, message, $metadata, $response }: ServiceError): Answer | undefined {
  const status = $metadata?.httpStatusCode
  const text = `${name}: ${message}`
  if (NOT_LET_IN.test(name)) return { status: 403, text }
  if (status === undefined) return undefined
  const retryAfter = retryAfterOf($response?.headers?.['retry-after'])
  return {
    status: TOO_MUCH.test(name) ? 429 : status,
    text,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }
}
