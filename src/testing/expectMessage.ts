import { AssertionError } from 'node:assert'
import type { Mailer } from '../mailer.js'
import { explain } from '../message/explain.js'
import { type HeldReason, STATUSES, type Status } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import type { ExpectOptions } from './expectMail.js'

/** What is to become of a message. What is left out may be anything. */
export interface ExpectedMessage {
  status?: Status
  heldReason?: HeldReason
  /** Whether it may have gone out without an answer. */
  uncertain?: boolean
  /** How many there were. */
  attempts?: number
}

/**
 * Waits until a message is as expected in every respect, and returns it.
 * @throws AssertionError when it isn't in time; it says how the message stands, and why
 */
export async function expectMessage(
  mailer: Mailer,
  id: string,
  expected: ExpectedMessage,
  { timeout = 5000 }: ExpectOptions = {},
): Promise<Message> {
  const deadline = performance.now() + timeout
  let wake = (): void => undefined
  const changed = (event: { id: string }): void => {
    if (event.id === id) wake()
  }
  for (const status of STATUSES) mailer.on(status, changed)
  try {
    for (;;) {
      const change = new Promise<void>((resolve) => (wake = resolve))
      const message = await mailer.find(id)
      if (message !== undefined && fits(message, expected)) return message
      const left = deadline - performance.now()
      if (left <= 0) throw complaint(id, message, expected, timeout)
      await within(change, left)
    }
  } finally {
    for (const status of STATUSES) mailer.off(status, changed)
  }
}

async function within(change: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([change, new Promise((resolve) => (timer = setTimeout(resolve, ms)))])
  clearTimeout(timer)
}

function fits(message: Message, expected: ExpectedMessage): boolean {
  const actual = factsOf(message)
  return Object.entries(expected).every(
    ([field, value]) => value === undefined || actual[field as keyof ExpectedMessage] === value,
  )
}

function factsOf({ status, heldReason, uncertain, attempts }: Message): ExpectedMessage {
  return {
    status,
    ...(heldReason === undefined ? {} : { heldReason }),
    uncertain,
    attempts: attempts.length,
  }
}

function complaint(
  id: string,
  message: Message | undefined,
  expected: ExpectedMessage,
  timeout: number,
): AssertionError {
  const wanted = Object.entries(expected)
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => `${field} ${JSON.stringify(value)}`)
  const found = message === undefined ? 'there is no such message' : explain(message)
  const actual = message === undefined ? undefined : factsOf(message)
  return new AssertionError({
    message: `Expected message ${id} to have ${wanted.join(', ')} within ${timeout} ms, but: ${found}`,
    expected,
    actual: actual && Object.fromEntries(Object.entries(actual).filter(([field]) => field in expected)),
    operator: 'expectMessage',
  })
}
