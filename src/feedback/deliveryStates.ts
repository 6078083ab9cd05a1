/** The states of a recipient after the next server accepted the message. */
export const DELIVERY_STATES = ['delayed', 'delivered', 'bounced', 'unsubscribed', 'complained'] as const
export type DeliveryState = (typeof DELIVERY_STATES)[number]

/** The subject of a bounce. Only `mailbox` says that the address is dead. */
export const BOUNCE_CATEGORIES = [
  'mailbox',
  'domain',
  'full',
  'size',
  'content',
  'reputation',
  'policy',
  'other',
] as const
export type BounceCategory = (typeof BOUNCE_CATEGORIES)[number]

/** The latest state of a recipient after the next server accepted the message. */
export interface Delivery {
  state: DeliveryState
  /** When it happened, ISO 8601, by the clock of whoever reported it. */
  at: string
  /** Whether the bounce is final for this address, and not only for this message. Present with `bounced`. */
  permanent?: boolean
  /** Present with `bounced` and `delayed`. */
  category?: BounceCategory
  /** Enhanced status code (RFC 3463), such as `5.1.1`. */
  enhanced?: string
  /** The text of the server, at most 500 characters. */
  detail?: string
  /** Who reported it: `manual`, `dsn`, `arf`, `sendgrid`, `ses`, … */
  source: string
  /**
   * Present if a mail reported it that anyone may have sent: it has no valid token. Such a report suppresses nobody, settles nothing,
   * and is replaced by any other.
   */
  unverified?: true
}

/** A report about one recipient of a message. */
export interface RecipientReport {
  /** Absent if the report is about the message's only recipient. */
  recipient?: string
  /** The form of the recipient in which addresses are compared, if it is known already. */
  key?: string
  /**
   * Whether the report has the token of this message: then, if the recipient is unknown, it is about its only one. The token is the
   * same for all recipients, so each of them could report another: it suppresses the only one, and nobody of several.
   */
  orOnly?: true
  delivery: Delivery
}

/** A recipient of whom something new became known. */
export interface DeliveryChange {
  recipient: string
  delivery: Delivery
}

/** The changes that reports made to a message. */
export interface Reported {
  /** The recipients of whom something new became known. */
  changes: DeliveryChange[]
  /** Whether the message was waiting, and the reports settled it. */
  settled: boolean
}

/**
 * Joins what was known of a recipient and a report, so that the result is the same in whichever order reports arrive, and however
 * often: a later state replaces an earlier one, in the order of {@link DELIVERY_STATES}, and never the reverse. Of two reports with
 * one state, the one with more weight counts: a permanent bounce, then the earlier time. What is unverified gives way to what is not.
 * @returns undefined if the report says nothing new
 */
export function joinDelivery(before: Delivery | undefined, report: Delivery): Delivery | undefined {
  if (before === undefined) return report
  if (before.unverified !== report.unverified) return report.unverified === true ? undefined : report
  const step = DELIVERY_STATES.indexOf(report.state) - DELIVERY_STATES.indexOf(before.state)
  if (step !== 0) return step > 0 ? report : undefined
  return report.state === 'bounced' && report.permanent === true && before.permanent !== true
    ? report
    : undefined
}

/** Whether nothing more is expected of a recipient, although it may still complain or unsubscribe. */
export function isFinal({ state }: Delivery): boolean {
  return state !== 'delayed'
}

/** Whether the address must get no more mail: a dead mailbox, a complaint, or an unsubscribe. */
export function reasonToSuppress({
  state,
  permanent,
  category,
  unverified,
}: Delivery): 'bounce' | 'complaint' | 'unsubscribe' | undefined {
  if (unverified === true) return undefined
  if (state === 'complained') return 'complaint'
  if (state === 'unsubscribed') return 'unsubscribe'
  return state === 'bounced' && permanent === true && category === 'mailbox' ? 'bounce' : undefined
}
