import { randomFillSync } from 'node:crypto'

const POOL_IDS = 256
const pool = Buffer.alloc(10 * POOL_IDS)
let used = POOL_IDS

/** A lowercase UUID of version 7 (RFC 9562 section 5.7): it sorts by the time it was made. */
export function mintId(now: number): string {
  if (used === POOL_IDS) {
    randomFillSync(pool)
    used = 0
  }
  const random = pool.subarray(used * 10, ++used * 10)
  const time = now.toString(16).padStart(12, '0')
  const version = (0x7000 | (random.readUInt16BE(0) & 0x0fff)).toString(16)
  const variant = (0x8000 | (random.readUInt16BE(2) & 0x3fff)).toString(16)
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}-${random.toString('hex', 4)}`
}

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

export function isId(text: unknown): text is string {
  return typeof text === 'string' && UUID_V7.test(text)
}
