/** The steps of an SMTP session at which a fault can occur, in order. `dot` is the end of the mail data, where the server accepts or rejects the message. */
export const FAULT_STEPS = ['connect', 'greeting', 'helo', 'auth', 'mail', 'rcpt', 'data', 'dot'] as const
export type FaultStep = (typeof FAULT_STEPS)[number]

export const FAULT_ACTIONS = [
  'refuse',
  'defer',
  'silence',
  'close',
  'delay',
  'drip',
  'garbage',
  'close-before',
  'close-after',
  'silence-after',
] as const
export type FaultAction = (typeof FAULT_ACTIONS)[number]

/**
 * A fault that the server simulates. Plain data, so that it can come from a file or over HTTP.
 *
 * - `refuse` replies with 5xx and `defer` with 4xx, using `reply` or a default for the step. At `connect`, `refuse` resets
 *   the TCP connection instead, the closest that a listening server gets to "connection refused".
 * - `silence` never replies, keeps reading, and leaves the connection open.
 * - `close` closes the connection without a reply; at `dot`, the message was read and is discarded.
 * - `delay` waits `ms`, then continues (with the next fault that matches, if any).
 * - `drip` sends one byte of an endless reply every `ms`; `garbage` sends a line that is not an SMTP reply, then nothing.
 *
 * At `dot` only: `close-before` closes while the body arrives, before the final dot is processed; `close-after` keeps the
 * message and closes without a reply, so that the reply is lost; `silence-after` keeps the message and never replies.
 */
export interface Fault {
  at: FaultStep
  do: FaultAction
  /** The reply of `refuse` or `defer`, such as `'550 5.1.1 No such user'`. */
  reply?: string
  /** Milliseconds, for `delay` and `drip`. @default 1000 for delay, 200 for drip */
  ms?: number
  /** How many times the fault occurs. @default unlimited */
  times?: number
  /** Limits the fault to this recipient (from `rcpt` on), ignoring case; `*` is a wildcard: `*@example.com`. */
  to?: string
  /** Probability that the fault occurs, from 0 to 1. @default 1 */
  probability?: number
}

/** The active faults. Changes apply from the next step of each session on. */
export interface Faults {
  /**
   * Replaces all faults.
   * @throws TypeError if a fault is invalid, naming the field
   */
  set(faults: readonly Fault[]): void
  clear(): void
  /** Returns the faults that are not used up yet, with the remaining number of `times`. */
  list(): Fault[]
}

/** The effect of the faults at a step: a delay, then at most one fault. */
export interface FaultEffect {
  /** Milliseconds. */
  delay: number
  fault?: Fault
}

const NO_EFFECT: FaultEffect = { delay: 0 }
const DOT_ONLY: ReadonlySet<FaultAction> = new Set(['close-before', 'close-after', 'silence-after'])
const RECIPIENT_STEPS: ReadonlySet<FaultStep> = new Set(['rcpt', 'data', 'dot'])
const FIELDS: ReadonlySet<string> = new Set(['at', 'do', 'reply', 'ms', 'times', 'to', 'probability'])

interface ActiveFault {
  fault: Fault
  /** Remaining number of times. */
  left: number
  matches: (address: string) => boolean
}

/** Decides at each step of a session whether a fault occurs. */
export class FaultPlan implements Faults {
  readonly #changed: () => void
  #active: ActiveFault[] = []

  /** @param changed called when the list changes: the faults were replaced, or one was used once */
  constructor(changed: () => void = () => undefined) {
    this.#changed = changed
  }

  set(faults: readonly Fault[]): void {
    this.#active = faults.map((fault, index) => {
      checkFault(fault, `faults[${index}]`)
      const { to, times } = fault
      return {
        fault: { ...fault },
        left: times ?? Infinity,
        matches: to === undefined ? () => true : wildcardMatcher(to),
      }
    })
    this.#changed()
  }

  clear(): void {
    this.#active = []
    this.#changed()
  }

  list(): Fault[] {
    return this.#active
      .filter(({ left }) => left > 0)
      .map(({ fault, left }) => (fault.times === undefined ? { ...fault } : { ...fault, times: left }))
  }

  /** Returns the first matching fault, and the sum of the delays before it. Each of them counts as one of its `times`. */
  take(step: FaultStep, recipients: readonly string[] = []): FaultEffect {
    if (this.#active.length === 0) return NO_EFFECT
    let delay = 0
    for (const active of this.#active) {
      const { fault } = active
      if (fault.at !== step || active.left === 0) continue
      if (fault.to !== undefined && !recipients.some(active.matches)) continue
      if (fault.probability !== undefined && Math.random() >= fault.probability) continue
      if (--active.left < Infinity) this.#changed()
      if (fault.do !== 'delay') return { delay, fault }
      delay += fault.ms ?? 1000
    }
    return { delay }
  }
}

const REFUSALS: Record<FaultStep, string> = {
  connect: '554 5.3.2 No service here',
  greeting: '554 5.3.2 No service here',
  helo: '550 5.7.1 You are not welcome',
  auth: '535 5.7.8 Wrong user name or password',
  mail: '550 5.7.1 Sender refused',
  rcpt: '550 5.1.1 No such mailbox',
  data: '554 5.5.1 No valid recipients',
  dot: '554 5.6.0 Message refused',
}

const DEFERRALS: Record<FaultStep, string> = {
  connect: '421 4.3.2 Try again later',
  greeting: '421 4.3.2 Try again later',
  helo: '451 4.3.0 Try again later',
  auth: '454 4.7.0 Try again later',
  mail: '451 4.3.0 Try again later',
  rcpt: '450 4.2.1 Mailbox busy',
  data: '451 4.3.0 Try again later',
  dot: '451 4.3.0 Try again later',
}

/** The reply of a `refuse` or `defer`, in its parts. */
export function replyOf(fault: Fault): { code: number; text: string } {
  const reply = fault.reply ?? (fault.do === 'refuse' ? REFUSALS : DEFERRALS)[fault.at]
  return { code: Number(reply.slice(0, 3)), text: reply.slice(4) }
}

function checkFault(fault: Fault, path: string): void {
  const fail = (field: string, problem: string): never => {
    throw new TypeError(`${path}${field === '' ? '' : `.${field}`} ${problem}`)
  }
  if (typeof (fault as unknown) !== 'object' || (fault as unknown) === null) fail('', 'must be an object')
  for (const key of Object.keys(fault)) if (!FIELDS.has(key)) fail(key, 'is not a field of a fault')
  if (!FAULT_STEPS.includes(fault.at)) fail('at', `must be one of ${FAULT_STEPS.join(', ')}`)
  if (!FAULT_ACTIONS.includes(fault.do)) fail('do', `must be one of ${FAULT_ACTIONS.join(', ')}`)
  if (DOT_ONLY.has(fault.do) && fault.at !== 'dot') fail('do', `can be '${fault.do}' only at 'dot'`)
  if (fault.reply !== undefined) {
    if (fault.do !== 'refuse' && fault.do !== 'defer')
      fail('reply', "is allowed only with 'refuse' and 'defer'")
    if (!/^[45]\d\d [\x20-\x7e]*$/.test(fault.reply)) fail('reply', "must look like '550 5.1.1 No such user'")
  }
  if (fault.ms !== undefined) {
    if (fault.do !== 'delay' && fault.do !== 'drip') fail('ms', "is allowed only with 'delay' and 'drip'")
    if (!(fault.ms >= 0 && fault.ms <= 86_400_000))
      fail('ms', 'must be a number of milliseconds, at most 86,400,000 (a day)')
  }
  if (fault.times !== undefined && !(Number.isInteger(fault.times) && fault.times > 0))
    fail('times', 'must be a whole number above 0')
  if (fault.probability !== undefined && !(fault.probability >= 0 && fault.probability <= 1))
    fail('probability', 'must be between 0 and 1')
  if (fault.to !== undefined) {
    if (typeof (fault.to as unknown) !== 'string') fail('to', 'must be an address')
    if (!RECIPIENT_STEPS.has(fault.at))
      fail('to', `can't be used at '${fault.at}': the recipients are not known yet`)
  }
}

/**
 * Returns a predicate that matches whole texts against a pattern, ignoring case; `*` matches any characters. It takes time
 * linear in the text: each part of the pattern is searched once, after the previous part.
 */
export function wildcardMatcher(pattern: string): (text: string) => boolean {
  const [first = '', ...others] = pattern.toLowerCase().split('*')
  const last = others.pop()
  return (text) => {
    const lower = text.toLowerCase()
    if (last === undefined) return lower === first
    if (!lower.startsWith(first) || !lower.endsWith(last)) return false
    let at = first.length
    for (const part of others) {
      const found = lower.indexOf(part, at)
      if (found === -1) return false
      at = found + part.length
    }
    return at <= lower.length - last.length
  }
}
