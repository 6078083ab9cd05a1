import type { Level } from '../logging/logger.js'
import type { Message, MessageAttempt } from '../message/messageView.js'

/** A line for the logger. */
export interface LogLine {
  level: Level
  text: string
  fields: object
}

type LoggedAttempt = Pick<MessageAttempt, 'outcome' | 'code' | 'phase' | 'reply' | 'message' | 'thread'> & {
  transport: string | undefined
  ms: number
}

/**
 * The line of an attempt.
 * @param number of the attempt, from 1
 * @param decision the fields of what follows from it
 */
export function attemptLine(
  { outcome, code, phase, reply, message, thread, transport, ms }: LoggedAttempt,
  number: number,
  decision: object = {},
): LogLine {
  const routine = outcome === 'sent' || outcome === 'withdrawn' || code === 'RELEASED'
  const fields = {
    step: 'attempt',
    attempt: number,
    ...decision,
    outcome,
    code,
    phase,
    ...(reply === undefined ? {} : { reply: reply.code }),
    thread,
    transport,
    ms,
  }
  return { level: routine ? 'debug' : 'warn', text: message, fields }
}

/**
 * Returns the log line of each attempt of a message as JSON. They are rebuilt from the message, so they lack the status that
 * followed, the time of the next attempt, and the context; and the logger may have dropped their level.
 */
export function attemptLogLines(message: Message): string[] {
  const { id, messageId, transport, template, attempts } = message
  return attempts.map((attempt, index) => {
    const ms = Date.parse(attempt.end) - Date.parse(attempt.start)
    const { level, text, fields } = attemptLine({ ...attempt, ms }, index + 1)
    const ids = { id, messageId, transport, ...(template === undefined ? {} : { template }) }
    return JSON.stringify({ level, time: attempt.end, ...ids, ...fields, msg: text })
  })
}
