import type { SESv2Client } from '@aws-sdk/client-sesv2'
import type { SesTransport, TransportReport } from '../../src/protocol/transportConfig.js'
import { whileLoading } from '../heartbeat.js'
import { sendInAscii } from './asciiRecipients.js'
import { beyondLimits } from './sendResults.js'
import {
  loadPackage,
  parseRetryAfter,
  type ServiceResponse,
  ServiceResults,
  toTransportReport,
  withTimeout,
} from './serviceResults.js'
import { SingleCallSender } from './singleCallSender.js'
import type { OutgoingMail, Progress, SendResult, Transport } from './transport.js'

/** Time limit for connecting, in ms; the attempt has its own limit. */
const CONNECT_TIMEOUT = 10_000
/** https://docs.aws.amazon.com/ses/latest/dg/quotas.html */
const LIMITS = { name: 'Amazon SES', maxRecipients: 50, maxSize: 40_000_000 }

/** Errors about the account or its credentials, not about the message. */
const AUTH_ERRORS =
  /^(?:AccessDenied|AccountSuspended|CredentialsProvider|ExpiredToken|IncompleteSignature|InvalidClientTokenId|InvalidSignature|MissingAuthenticationToken|NotAuthorized|SendingPaused|SignatureDoesNotMatch|UnrecognizedClient)/
const RATE_ERRORS = /^(?:TooManyRequests|Throttl|LimitExceeded|RequestLimitExceeded|SlowDown)/

/** The SDK's connect timeout has no error code. */
const NEVER_CONNECTED = /did not establish a connection/

interface SesClient {
  client: SESv2Client
  /** Resolves with the id that SES gave the message. */
  send(mail: OutgoingMail): Promise<string>
  verify(): Promise<void>
}

/** Sends through Amazon SES: the composed message, unchanged, to the envelope's recipients. */
export class SesSender implements Transport {
  readonly #config: SesTransport
  readonly #results: ServiceResults
  readonly #calls: SingleCallSender
  readonly #client: Promise<SesClient>

  constructor(config: SesTransport, requests: number) {
    this.#config = config
    const { secretAccessKey = '', sessionToken = '' } = config.credentials ?? {}
    this.#results = new ServiceResults([secretAccessKey, sessionToken])
    this.#client = open(config)
    this.#client.catch(() => undefined)
    this.#calls = new SingleCallSender(requests, async () => (await this.#client).client.destroy())
  }

  async ready(): Promise<void> {
    await this.#client
  }

  send(mail: OutgoingMail, progress: Progress, deadline: number): Promise<SendResult> {
    return this.#calls.run(mail, progress, deadline, () =>
      this.#results.withClient(this.#client, (client) =>
        sendInAscii(mail, async (ascii) => {
          const { to } = ascii.envelope
          const refused = beyondLimits(LIMITS, to.length, ascii.composed.bytes.length)
          if (refused !== undefined) return refused
          progress.sends(ascii.composed)
          try {
            return this.#results.fromResponse({ status: 200, text: await client.send(ascii) }, to)
          } catch (error) {
            return this.#fromError(error, to)
          }
        }),
      ),
    )
  }

  async verify(): Promise<TransportReport> {
    const { name, endpoint, region = '' } = this.#config
    const url = new URL(endpoint ?? `https://email.${region}.amazonaws.com`)
    const target = {
      transport: name,
      host: url.hostname,
      port: Number(url.port) || (url.protocol === 'http:' ? 80 : 443),
    }
    return toTransportReport(target, () =>
      this.#results.withClient(this.#client, async (client) => {
        try {
          await withTimeout(client.verify())
          return this.#results.fromResponse({ status: 200, text: 'ready' }, [])
        } catch (error) {
          return this.#fromError(error, [])
        }
      }),
    )
  }

  retire(successor: Transport): Promise<void> {
    return this.#calls.retire(successor)
  }

  quit(): Promise<void> {
    return this.#calls.quit()
  }

  #fromError(error: unknown, to: readonly string[]): SendResult {
    if (NEVER_CONNECTED.test((error as ServiceError).message)) return this.#results.notConnected(error)
    const response = toResponse(error as ServiceError)
    return response === undefined
      ? this.#results.fromError(error, to)
      : this.#results.fromResponse(response, to)
  }
}

async function open({ region, credentials, endpoint, configurationSet }: SesTransport): Promise<SesClient> {
  const { SESv2Client, SendEmailCommand } = await loadPackage(
    whileLoading(() => import('@aws-sdk/client-sesv2')),
    '@aws-sdk/client-sesv2',
    'Amazon SES needs the package',
  )
  const client = new SESv2Client({
    ...(region === undefined ? {} : { region }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(endpoint === undefined ? {} : { endpoint }),
    // Only threadpost's queue retries: the SDK must not send a mail again.
    maxAttempts: 1,
    requestHandler: { connectionTimeout: CONNECT_TIMEOUT },
  })
  await client.config.region().catch(() => {
    throw new Error("Amazon SES needs a region: write 'ses://eu-central-1', or set AWS_REGION")
  })
  // Only two transports need all of nodemailer.
  const { default: nodemailer } = await whileLoading(() => import('nodemailer'))
  const transporter = nodemailer.createTransport({ SES: { sesClient: client, SendEmailCommand } })
  return {
    client,
    send: async ({ envelope, composed }) => {
      const { MessageId = 'accepted' } = await client.send(
        new SendEmailCommand({
          Content: { Raw: { Data: unshared(composed.bytes) } },
          // Without a reverse-path, SES uses the address in From. It receives the bounces itself in any case.
          ...(envelope.from === '' ? {} : { FromEmailAddress: envelope.from }),
          Destination: { ToAddresses: [...envelope.to] },
          ...(configurationSet === undefined ? {} : { ConfigurationSetName: configurationSet }),
        }),
      )
      return MessageId
    },
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

/** Converts an exception of the service to its response; undefined if the service did not respond. */
function toResponse({ name, message, $metadata, $response }: ServiceError): ServiceResponse | undefined {
  const status = $metadata?.httpStatusCode
  const text = `${name}: ${message}`
  if (AUTH_ERRORS.test(name)) return { status: 403, text }
  if (status === undefined) return undefined
  const retryAfter = parseRetryAfter($response?.headers?.['retry-after'])
  return {
    status: RATE_ERRORS.test(name) ? 429 : status,
    text,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  }
}

/** The SDK takes no bytes in shared memory. */
function unshared(bytes: Buffer): Buffer {
  return bytes.buffer instanceof SharedArrayBuffer ? Buffer.from(bytes) : bytes
}
