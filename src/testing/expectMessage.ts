import { AssertionError } from 'node:assert'
import type { Mailer } from '../mailer.js'
import { explain } from '../message/explain.js'
import { type HeldReason, STATUSES, type Status } from '../message/messageState.js'
import type { Message } from '../message/messageView.js'
import type { ExpectOptions } from './expectMail.js'

/** Conditions for a message. Omitted fields match any message. */
export interface ExpectedMessage {
  status?: Status
  heldReason?: HeldReason
  /** Whether it may have been sent without a reply from the server. */
  uncertain?: boolean
  /** Number of attempts. */
  attempts?: number
}

/**
 * Waits until a message meets all conditions, and returns it.
 * @throws AssertionError if it doesn't in time; its message explains the state of the message
 */
export async function expectMessage(
  mailer: Mailer,
  id: string,
  expected: ExpectedMessage,
  { timeout = 5000 }: ExpectOptions = {},
): Promise<Message> {
  const deadline = performance.now() + timeout
  let wake = (): void => undefined
  const onEvent = (event: { id: string }): void => {
    if (event.id === id) wake()
  }
  for (const status of STATUSES) mailer.on(status, onEvent)
  try {
    for (;;) {
      const change = new Promise<void>((resolve) => (wake = resolve))
      const message = await mailer.find(id)
      if (message !== undefined && matches(message, expected)) return message
      const left = deadline - performance.now()
      if (left <= 0) throw timeoutError(id, message, expected, timeout)
      await waitAtMost(change, left)
    }
  } finally {
    for (const status of STATUSES) mailer.off(status, onEvent)
  }
}

async function waitAtMost(change: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([change, new Promise((resolve) => (timer = setTimeout(resolve, ms)))])
  clearTimeout(timer)
}

function matches(message: Message, expected: ExpectedMessage): boolean {
  const actual = conditionsOf(message)
  return Object.entries(expected).every(
    ([field, value]) => value === undefined || actual[field as keyof ExpectedMessage] === value,
  )
}

function conditionsOf({ status, heldReason, uncertain, attempts }: Message): ExpectedMessage {
  return {
    status,
    ...(heldReason === undefined ? {} : { heldReason }),
    uncertain,
    attempts: attempts.length,
  }
}

function timeoutError(
  id: string,
  message: Message | undefined,
  expected: ExpectedMessage,
  timeout: number,
): AssertionError {
  const wanted = Object.entries(expected)
    .filter(([, value]) => value !== undefined)
    .map(([field, value]) => `${field} ${JSON.stringify(value)}`)
  const found = message === undefined ? 'the message does not exist' : explain(message)
  const actual = message === undefined ? undefined : conditionsOf(message)
  return new AssertionError({
    message: `Expected message ${id} to have ${wanted.join(', ')} within ${timeout} ms, but: ${found}`,
    expected,
    actual: actual && Object.fromEntries(Object.entries(actual).filter(([field]) => field in expected)),
    operator: 'expectMessage',
  })
}
