import type { Redis } from 'ioredis'
import { type Condition, ConditionLog } from '../../logging/conditionLog.js'
import type { Logger } from '../../logging/logger.js'

/** Share of `maxmemory` that new messages may not use: it is for delivering and settling those that were accepted. */
const RESERVED = 0.1
/** Milliseconds for which a reading counts. */
const FRESH = 500

const NEARLY_FULL: Condition = {
  begins: 'The memory of Redis is nearly full, so new mail is refused; what is queued is still delivered',
  level: 'error',
  ends: 'Redis has room for new mail again',
}

/**
 * Watches the memory of Redis, and refuses new messages before it is full. Redis itself refuses them at `maxmemory`; the
 * scripts that deliver run even then, but whatever else uses this Redis doesn't.
 */
export class MemoryReserve {
  readonly #redis: Redis
  readonly #log: ConditionLog
  #problem: string | undefined
  #readAt = -Infinity
  #reading: Promise<void> | undefined

  constructor(redis: Redis, logger: Logger) {
    this.#redis = redis
    this.#log = new ConditionLog(logger, NEARLY_FULL)
  }

  /** Resolves to the reason why no message can be accepted, or to undefined. Never rejects. */
  async refusal(): Promise<string | undefined> {
    const now = performance.now()
    if (now - this.#readAt >= FRESH) {
      this.#readAt = now
      this.#reading = this.#read()
    }
    await this.#reading
    return this.#problem
  }

  async #read(): Promise<void> {
    try {
      this.#note(await this.#redis.info('memory'))
    } catch {
      // Redis doesn't answer, or doesn't allow INFO: then the command itself finds out.
    }
  }

  #note(info: string): void {
    const used = numberIn(info, 'used_memory') - numberIn(info, 'mem_not_counted_for_evict')
    const most = numberIn(info, 'maxmemory')
    // With any other policy Redis makes room by itself (and a warning at the start says what that costs).
    const limited = most > 0 && info.includes('maxmemory_policy:noeviction')
    this.#problem =
      limited && used > most * (1 - RESERVED)
        ? `The queue is unavailable: Redis uses ${megabytes(used)} of ${megabytes(most)} MB (maxmemory), and the rest is kept ` +
          'for delivering what is queued. Try again later'
        : undefined
    if (this.#problem === undefined) this.#log.end()
    else this.#log.begin({ used, maxmemory: most })
  }
}

function numberIn(info: string, field: string): number {
  const start = info.indexOf(`\n${field}:`)
  return start < 0 ? 0 : Number.parseInt(info.slice(start + field.length + 2), 10)
}

function megabytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1)
}
