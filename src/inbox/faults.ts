/** Where in a session a fault strikes, in order. `dot` is the end of the message, where its fate is decided. */
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
 * One thing the server is to do wrong. Plain data, so that it can come from a file or over HTTP.
 *
 * - `refuse` answers 5xx and `defer` 4xx, with `reply` or one that fits the step. At `connect`, `refuse` resets the
 *   TCP connection instead, which is as near to "connection refused" as a listening server gets.
 * - `silence` answers nothing, reads on, and leaves the connection open.
 * - `close` ends the connection without an answer; at `dot` the message was read and is thrown away.
 * - `delay` waits `ms`, then goes on (with the next fault that matches, if there is one).
 * - `drip` sends one byte of an endless reply every `ms`; `garbage` sends a line that is no SMTP reply, then nothing.
 *
 * At `dot` only: `close-before` closes while the body arrives, before its final dot is taken; `close-after` keeps the
 * message as received and closes without an answer, the perfect lost reply; `silence-after` keeps it and says nothing.
 */
export interface Fault {
  at: FaultStep
  do: FaultAction
  /** The reply to `refuse` or `defer` with: `'550 5.1.1 No such user'`. */
  reply?: string
  /** Milliseconds, for `delay` and `drip`. @default 1000 for delay, 200 for drip */
  ms?: number
  /** How often it strikes before it is used up. @default without end */
  times?: number
  /** Only for this recipient (from `rcpt` on), case aside; `*` stands for anything: `*@example.com`. */
  to?: string
  /** Chance to strike, from 0 to 1. @default 1 */
  probability?: number
}

/** The faults to commit; they can be changed at any time and apply from the next step on. */
export interface Faults {
  /** Replaces all faults. */
  set(faults: readonly Fault[]): void
  clear(): void
  /** The faults that are not used up yet, `times` telling how often they will still strike. */
  list(): Fault[]
}

/** What is to happen at a step: a wait, then at most one fault. */
export interface FaultEffect {
  wait: number
  fault?: Fault
}

const NONE: FaultEffect = { wait: 0 }
const DOT_ONLY: ReadonlySet<FaultAction> = new Set(['close-before', 'close-after', 'silence-after'])
const KNOWS_RECIPIENTS: ReadonlySet<FaultStep> = new Set(['rcpt', 'data', 'dot'])
const FIELDS: ReadonlySet<string> = new Set(['at', 'do', 'reply', 'ms', 'times', 'to', 'probability'])

interface Armed {
  fault: Fault
  left: number
  matches: (address: string) => boolean
}

/** Decides at each step whether something goes wrong. */
export class FaultPlan implements Faults {
  readonly #changed: () => void
  #armed: Armed[] = []

  /** @param changed called when the list of faults is another: replaced, or one used up */
  constructor(changed: () => void = () => undefined) {
    this.#changed = changed
  }

  set(faults: readonly Fault[]): void {
    this.#armed = faults.map((fault, index) => {
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
    this.#armed = []
    this.#changed()
  }

  list(): Fault[] {
    return this.#armed
      .filter(({ left }) => left > 0)
      .map(({ fault, left }) => (fault.times === undefined ? { ...fault } : { ...fault, times: left }))
  }

  /** The first fault that matches; delays before it add up. Each one taken counts as a strike. */
  take(step: FaultStep, recipients: readonly string[] = []): FaultEffect {
    if (this.#armed.length === 0) return NONE
    let wait = 0
    for (const armed of this.#armed) {
      const { fault } = armed
      if (fault.at !== step || armed.left === 0) continue
      if (fault.to !== undefined && !recipients.some(armed.matches)) continue
      if (fault.probability !== undefined && Math.random() >= fault.probability) continue
      if (--armed.left < Infinity) this.#changed()
      if (fault.do !== 'delay') return { wait, fault }
      wait += fault.ms ?? 1000
    }
    return { wait }
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

/** The reply a `refuse` or `defer` gives, in its parts. */
export function replyOf(fault: Fault): { code: number; text: string } {
  const reply = fault.reply ?? (fault.do === 'refuse' ? REFUSALS : DEFERRALS)[fault.at]
  return { code: Number(reply.slice(0, 3)), text: reply.slice(4) }
}

function checkFault(fault: Fault, path: string): void {
  const fail = (field: string, why: string): never => {
    throw new TypeError(`${path}${field === '' ? '' : `.${field}`} ${why}`)
  }
  if (typeof (fault as unknown) !== 'object' || (fault as unknown) === null) fail('', 'must be an object')
  for (const key of Object.keys(fault)) if (!FIELDS.has(key)) fail(key, 'is not a field of a fault')
  if (!FAULT_STEPS.includes(fault.at)) fail('at', `must be one of ${FAULT_STEPS.join(', ')}`)
  if (!FAULT_ACTIONS.includes(fault.do)) fail('do', `must be one of ${FAULT_ACTIONS.join(', ')}`)
  if (DOT_ONLY.has(fault.do) && fault.at !== 'dot') fail('do', `can be '${fault.do}' only at 'dot'`)
  if (fault.reply !== undefined) {
    if (fault.do !== 'refuse' && fault.do !== 'defer') fail('reply', "goes with 'refuse' and 'defer' only")
    if (!/^[45]\d\d [\x20-\x7e]*$/.test(fault.reply)) fail('reply', "must look like '550 5.1.1 No such user'")
  }
  if (fault.ms !== undefined) {
    if (fault.do !== 'delay' && fault.do !== 'drip') fail('ms', "goes with 'delay' and 'drip' only")
    if (!(fault.ms >= 0 && fault.ms <= 86_400_000)) fail('ms', 'must be milliseconds, at most a day')
  }
  if (fault.times !== undefined && !(Number.isInteger(fault.times) && fault.times > 0))
    fail('times', 'must be a whole number above 0')
  if (fault.probability !== undefined && !(fault.probability >= 0 && fault.probability <= 1))
    fail('probability', 'must be between 0 and 1')
  if (fault.to !== undefined) {
    if (typeof (fault.to as unknown) !== 'string') fail('to', 'must be an address')
    if (!KNOWS_RECIPIENTS.has(fault.at)) fail('to', `can't be known at '${fault.at}'`)
  }
}

/**
 * A test whether a text fits a pattern as a whole, case aside; every `*` stands for anything. In time that grows with the
 * text: each part is looked for once, behind the one before it.
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
