import { clientNetwork } from '../web/clientNetwork.js'

const MINUTE = 60_000
/** Maximum number of remembered networks and users; the oldest is dropped first. */
const MAX_ADDRESSES = 10_000

/** Memory for messages that are being received. One client can take at most half of it, so that slow clients leave room for others. */
export class ReceivingMemory {
  readonly #limit: number
  readonly #byClient = new Map<string, number>()
  readonly #share: number
  #used = 0

  /** @param least bytes that one client may take in any case: the size of a message */
  constructor(limit: number, least: number) {
    this.#limit = limit
    this.#share = Math.max(least, Math.floor(limit / 2))
  }

  /** Takes bytes for a client. @returns whether there is room */
  take(client: string, bytes: number): boolean {
    const used = (this.#byClient.get(client) ?? 0) + bytes
    if (used > this.#share || this.#used + bytes > this.#limit) return false
    this.#byClient.set(client, used)
    this.#used += bytes
    return true
  }

  give(client: string, bytes: number): void {
    const left = (this.#byClient.get(client) ?? 0) - bytes
    if (left > 0) this.#byClient.set(client, left)
    else this.#byClient.delete(client)
    this.#used -= bytes
  }
}

/**
 * Limits the rate of wrong passwords by network. Once the limit is reached, a right password is refused as well, or it would tell a
 * guess from the others; except for a user who had logged in from there before.
 */
export class FailedLogins {
  readonly #limit: number
  readonly #failures = new Map<string, { count: number; since: number }>()
  readonly #known = new Set<string>()

  /** @param limit wrong passwords in a minute */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Whether an attempt is refused. @param user if the password is right */
  refuses(address: string, user: string | undefined): boolean {
    const failures = this.#failures.get(clientNetwork(address))
    if (failures === undefined || failures.since + MINUTE <= Date.now() || failures.count < this.#limit)
      return false
    return user === undefined || !this.#known.has(keyOf(address, user))
  }

  succeeded(address: string, user: string): void {
    makeRoom(this.#known)
    this.#known.add(keyOf(address, user))
  }

  failed(address: string): void {
    const now = Date.now()
    const network = clientNetwork(address)
    const failures = this.#failures.get(network)
    if (failures !== undefined && failures.since + MINUTE > now) {
      failures.count++
      return
    }
    this.#failures.delete(network)
    makeRoom(this.#failures)
    this.#failures.set(network, { count: 1, since: now })
  }
}

function keyOf(address: string, user: string): string {
  return `${clientNetwork(address)} ${user}`
}

function makeRoom(remembered: Set<string> | Map<string, unknown>): void {
  const [oldest] = remembered.keys()
  if (remembered.size >= MAX_ADDRESSES && oldest !== undefined) remembered.delete(oldest)
}
