import { ThreadpostError } from '../errors.js'
import type { Logger } from '../logging/logger.js'
import type { Validator } from '../validation.js'
import type { QueueDriver } from './driver.js'
import type { QueueEncryption } from './encryption/queueEncryption.js'
import { rangeOf } from './records.js'

export interface EncryptionOptions {
  /**
   * Keys of 32 random bytes in base64, as `openssl rand -base64 32` prints them. The first one encrypts, and each decrypts: to change
   * the key, put a new one first and keep the old one. 1 to 10 keys.
   */
  keys: string[]
}

const KEY_LENGTH = 32
const BASE64_KEY = /^[A-Za-z0-9+/_-]{43}=?$/
const MAX_KEYS = 10

/** Checks the option `encryption` of a queue. The keys never appear in an error. */
export function resolveKeys(check: Validator, value: unknown): Uint8Array[] {
  const { keys } = check.object(value, 'queue.encryption', ['keys'])
  const list = check.array(keys, 'queue.encryption.keys', MAX_KEYS)
  if (list.length === 0) check.fail('queue.encryption.keys', 'must have at least one key')
  const decoded = list.map((key, index) => {
    const bytes = typeof key === 'string' && BASE64_KEY.test(key) ? Buffer.from(key, 'base64') : undefined
    if (bytes?.length !== KEY_LENGTH)
      check.fail(
        `queue.encryption.keys[${index}]`,
        `must be base64 of ${KEY_LENGTH} bytes: create one with openssl rand -base64 ${KEY_LENGTH}`,
      )
    return bytes
  })
  if (new Set(decoded.map((key) => key.toString('base64'))).size < decoded.length)
    check.fail('queue.encryption.keys', 'must not contain the same key twice')
  return decoded
}

/** Prefix of the records that name the keys with which a queue is encrypted. */
const KEY_MARKS = 'e:'

/**
 * Notes the key that encrypts. A process without any of the keys is refused: it would find no suppression and no idempotency key, and
 * store new mail clear.
 * @throws ThreadpostError `START_FAILED`
 */
export async function checkKeys(
  { records }: QueueDriver,
  encryption: QueueEncryption | undefined,
  logger: Logger,
): Promise<void> {
  // With a spool, Redis may be unavailable now.
  const [marks = []] = await records.read([rangeOf(KEY_MARKS)]).catch(() => [])
  const used = marks.map(({ key }) => key.slice(KEY_MARKS.length))
  const own = encryption?.keyIds ?? []
  if (used.length > 0 && !used.some((id) => own.includes(id)))
    throw new ThreadpostError(
      'START_FAILED',
      own.length === 0
        ? 'The queue is encrypted: set queue.encryption.keys'
        : 'The queue is encrypted with other keys than those in queue.encryption.keys: add one of its keys',
    )
  if (encryption === undefined) return
  const missing = used.filter((id) => !own.includes(id))
  if (missing.length > 0)
    logger.warn(
      { keys: missing },
      'Messages that were encrypted with keys that are missing here are not delivered',
    )
  if (used.includes(own[0]!)) return
  const key = `${KEY_MARKS}${own[0]!}`
  await records
    .write([{ key, keepUntil: Number.MAX_SAFE_INTEGER, raise: { used: 1 } }])
    .catch(() => undefined)
}
