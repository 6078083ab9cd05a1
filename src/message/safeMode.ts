import type { Outcome } from '../protocol/outcome.js'
import type { MessagePayload, Mailbox } from '../protocol/tasks.js'
import type { DeliveryOrder } from '../threads/runner.js'
import type { Validator } from '../validation.js'
import { parseAddress } from './addresses.js'

/** Safe mode: mail is delivered only to allowed recipients. */
export interface SafeModeOptions {
  /** The address that receives all mail to recipients that are not allowed. */
  redirectTo: string
  /** Allowed recipients: addresses, or whole domains such as `acme.example`. @default none */
  allow?: string[]
}

/** Header of a redirected mail that lists the original recipients. */
const HEADER = 'X-Threadpost-Original-To'
const MAX_HEADER = 900
const DOMAIN = /^@?([\p{L}\p{N}](?:[\p{L}\p{N}.-]*[\p{L}\p{N}])?)$/u
const MAX_ALLOWED = 10_000

export function resolveSafeMode(check: Validator, value: unknown): SafeMode {
  const { redirectTo, allow } = check.object(value, 'safeMode', ['redirectTo', 'allow'])
  const allowed = check.array(allow ?? [], 'safeMode.allow', MAX_ALLOWED).map((entry, index) => {
    const path = `safeMode.allow[${index}]`
    const text = check.string(entry, path, 320)
    const domain = DOMAIN.exec(text)?.[1]
    return (domain ?? parseAddress(text, path, check)).toLowerCase()
  })
  return new SafeMode(parseAddress(redirectTo, 'safeMode.redirectTo', check), new Set(allowed))
}

/**
 * Delivers mail only to allowed recipients, so that a staging system can't mail a customer. Mail is redirected when it is
 * accepted, and again when it is handed to a thread, because it may have been queued before safe mode was enabled.
 */
export class SafeMode {
  constructor(
    readonly redirectTo: string,
    private readonly allowed: ReadonlySet<string>,
  ) {}

  /** The payload with only allowed recipients. A header lists the original ones. */
  redirect<T extends MessagePayload>(payload: T): T {
    const refused = [...payload.to, ...payload.cc, ...payload.bcc].filter(
      ({ address }) => !this.#allows(address),
    )
    if (refused.length === 0) return payload
    const added = new Set<string>()
    const reach = (mailboxes: Mailbox[]): Mailbox[] =>
      mailboxes.flatMap((mailbox) => {
        if (this.#allows(mailbox.address)) return [mailbox]
        if (added.has(this.redirectTo)) return []
        added.add(this.redirectTo)
        return [{ address: this.redirectTo }]
      })
    const originals = [...new Set(refused.map(({ address }) => address))]
    return {
      ...payload,
      to: reach(payload.to),
      cc: reach(payload.cc),
      bcc: reach(payload.bcc),
      headers: [...payload.headers, [HEADER, listed(originals)]],
    }
  }

  /** The order with only allowed recipients in its envelope, whatever its headers say. */
  guard(order: DeliveryOrder): DeliveryOrder {
    if (order.recipients.every((address) => this.#allows(address))) return order
    return { ...order, payload: this.redirect(order.payload), recipients: this.envelope(order.recipients) }
  }

  /** The envelope recipients in place of these. */
  envelope(recipients: readonly string[]): string[] {
    return [...new Set(recipients.map((address) => this.#deliveredTo(address)))]
  }

  /** Maps the outcome of a guarded delivery back to the original recipients. */
  translate(outcome: Outcome, recipients: readonly string[]): Outcome {
    if (outcome.recipients.length === 0 || recipients.every((address) => this.#allows(address)))
      return outcome
    const results = new Map(outcome.recipients.map((result) => [result.address, result]))
    return {
      ...outcome,
      recipients: recipients.flatMap((address) => {
        const result = results.get(this.#deliveredTo(address))
        return result === undefined ? [] : [{ ...result, address }]
      }),
    }
  }

  #deliveredTo(address: string): string {
    return this.#allows(address) ? address : this.redirectTo
  }

  #allows(address: string): boolean {
    if (address === this.redirectTo) return true
    const known = address.toLowerCase()
    return this.allowed.has(known) || this.allowed.has(known.slice(known.lastIndexOf('@') + 1))
  }
}

/** As many addresses as one header line should contain, and the number of the others. */
function listed(addresses: readonly string[]): string {
  let text = ''
  for (const [index, address] of addresses.entries()) {
    if (text.length + address.length > MAX_HEADER) return `${text}, and ${addresses.length - index} more`
    text += index === 0 ? address : `, ${address}`
  }
  return text
}
