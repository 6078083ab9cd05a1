import { randomBytes } from 'node:crypto'

/** Names one process among all that ever used a queue: in whose hands a message is. */
export function newToken(): string {
  return randomBytes(6).toString('hex')
}
