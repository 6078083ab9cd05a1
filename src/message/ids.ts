import { randomFillSync } from 'node:crypto'

const POOL_IDS = 256
/** Hexadecimal digits of an id that are not its time. */
const DIGITS = 20
const pool = Buffer.alloc((DIGITS / 2) * POOL_IDS)
let digits = ''
let used = POOL_IDS
let lastTime = -1
let prefix = ''

/** A lowercase UUID of version 7 (RFC 9562 section 5.7): it sorts by the time it was made. */
export function mintId(now: number): string {
  if (used === POOL_IDS) {
    digits = randomFillSync(pool).toString('hex')
    used = 0
  }
  if (now !== lastTime) {
    const time = now.toString(16).padStart(12, '0')
    prefix = `${time.slice(0, 8)}-${time.slice(8)}-7`
    lastTime = now
  }
  const at = used++ * DIGITS
  const variant = '89ab'[parseInt(digits.charAt(at), 16) & 3]!
  return `${prefix}${digits.slice(at + 1, at + 4)}-${variant}${digits.slice(at + 4, at + 7)}-${digits.slice(at + 7, at + 19)}`
}

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

export function isId(text: unknown): text is string {
  return typeof text === 'string' && UUID_V7.test(text)
}
