import type { Logger } from '../index.js'
import { resolveLogger } from '../logging/logger.js'
import { Validator } from '../validation.js'

export interface AmqpIntakeOptions {
  /** URL of RabbitMQ, or of another broker that speaks AMQP 0-9-1: `amqp://user:pass@host:5672/vhost`, or `amqps:` for TLS. */
  url: string
  /** Queue to consume. It is declared as a quorum queue. @default 'mail' */
  queue?: string
  /** Maximum number of messages that are being accepted at a time. @default 100 */
  prefetch?: number
  /** Exchange for messages that can't be accepted, with a queue of the same name. @default the name of the queue, and `.dead` */
  deadLetterExchange?: string
  /** Maximum bytes of a message. @default 26_214_400 (25 MB) */
  size?: number
  /** Maximum time in ms between two attempts to connect, or to store messages while the queue is full. @default 30_000 */
  maxDelay?: number
  /** Logger of refused messages and lost connections, pino-shaped. @default silent */
  logger?: Logger
}

export type ResolvedAmqpIntake = Required<AmqpIntakeOptions>

const KEYS = ['url', 'queue', 'prefetch', 'deadLetterExchange', 'size', 'maxDelay', 'logger']
/** The broker counts prefetched messages in 16 bits. */
const MAX_PREFETCH = 65_535
/** Seconds after which a broker that says nothing counts as gone. */
const HEARTBEAT = '30'

const check: Validator = new Validator('INVALID_OPTIONS')

/** @throws ThreadpostError `INVALID_OPTIONS` */
export function resolveAmqpIntake(options: AmqpIntakeOptions): ResolvedAmqpIntake {
  const input = check.object(options, '', KEYS)
  const queue = nameOf(input['queue'] ?? 'mail', 'queue')
  return {
    url: urlOf(input['url']),
    queue,
    prefetch: check.integer(input['prefetch'] ?? 100, 'prefetch', 1, MAX_PREFETCH),
    deadLetterExchange: nameOf(input['deadLetterExchange'] ?? `${queue}.dead`, 'deadLetterExchange'),
    size: check.integer(input['size'] ?? 25 * 1024 * 1024, 'size', 1),
    maxDelay: check.timeout(input['maxDelay'] ?? 30_000, 'maxDelay', 1),
    logger: resolveLogger(check, input['logger']),
  }
}

function urlOf(value: unknown): string {
  const text = check.string(value, 'url', 2_000)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'amqp:' && url?.protocol !== 'amqps:')
    check.fail('url', "must be a URL of RabbitMQ: write 'amqp://user:pass@host:5672'")
  if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', HEARTBEAT)
  return url.href
}

/** AMQP 0-9-1: a short string, without the prefix that the broker reserves. */
function nameOf(value: unknown, path: string): string {
  const name = check.string(value, path, 127)
  if (name === '' || name.startsWith('amq.') || !/^[\w.:/-]+$/.test(name))
    check.fail(path, "must consist of letters, digits, and . _ : / -, and must not begin with 'amq.'")
  return name
}
