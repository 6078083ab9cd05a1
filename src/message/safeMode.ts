import type { Outcome } from '../protocol/outcome.js'
import type { MessagePayload, Mailbox } from '../protocol/tasks.js'
import type { DeliveryOrder } from '../threads/runner.js'
import type { Validator } from '../validation.js'
import { parseAddress } from './addresses.js'

export interface SafeModeOptions {
  /** Gets every mail that is for somebody else. */
  redirectTo: string
  /** Who may get mail none the less: addresses, or whole domains such as `acme.example`. @default nobody */
  allow?: string[]
}

/** Names those whom a redirected mail was for. */
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
 * Keeps a mailer from reaching anybody but those allowed: staging can never mail a customer. Mail is redirected when it
 * is accepted, and once more when it is handed to a thread, since it may have been queued before this was switched on.
 */
export class SafeMode {
  constructor(
    readonly redirectTo: string,
    private readonly allowed: ReadonlySet<string>,
  ) {}

  /** The payload, for those whom it may reach; in a header stands whom it was for. */
  redirect<T extends MessagePayload>(payload: T): T {
    const refused = [...payload.to, ...payload.cc, ...payload.bcc].filter(
      ({ address }) => !this.#allows(address),
    )
    if (refused.length === 0) return payload
    const seen = new Set<string>()
    const reach = (mailboxes: Mailbox[]): Mailbox[] =>
      mailboxes.flatMap((mailbox) => {
        if (this.#allows(mailbox.address)) return [mailbox]
        if (seen.has(this.redirectTo)) return []
        seen.add(this.redirectTo)
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

  /** A delivery whose envelope holds nobody else, whatever its message says. */
  guard(order: DeliveryOrder): DeliveryOrder {
    if (order.recipients.every((address) => this.#allows(address))) return order
    return { ...order, payload: this.redirect(order.payload), recipients: this.envelope(order.recipients) }
  }

  /** Who really gets what is for these. */
  envelope(recipients: readonly string[]): string[] {
    return [...new Set(recipients.map((address) => this.#standIn(address)))]
  }

  /** What a guarded delivery came to, for those whom its message names. */
  translate(outcome: Outcome, recipients: readonly string[]): Outcome {
    if (outcome.recipients.length === 0 || recipients.every((address) => this.#allows(address)))
      return outcome
    const results = new Map(outcome.recipients.map((result) => [result.address, result]))
    return {
      ...outcome,
      recipients: recipients.flatMap((address) => {
        const result = results.get(this.#standIn(address))
        return result === undefined ? [] : [{ ...result, address }]
      }),
    }
  }

  #standIn(address: string): string {
    return this.#allows(address) ? address : this.redirectTo
  }

  #allows(address: string): boolean {
    if (address === this.redirectTo) return true
    const known = address.toLowerCase()
    return this.allowed.has(known) || this.allowed.has(known.slice(known.lastIndexOf('@') + 1))
  }
}

/** As many as one header line should hold, and how many more there are. */
function listed(addresses: readonly string[]): string {
  let text = ''
  for (const [index, address] of addresses.entries()) {
    if (text.length + address.length > MAX_HEADER) return `${text}, and ${addresses.length - index} more`
    text += index === 0 ? address : `, ${address}`
  }
  return text
}
