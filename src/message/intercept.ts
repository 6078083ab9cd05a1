import { isPlainObject } from '../check.js'
import { ThreadpostError } from '../errors.js'
import type { Mail, PreparedMail } from './mail.js'
import { isPrepared } from './toJob.js'

/** What an interceptor answers to refuse a mail. */
export interface Refusal {
  /** Why, for whoever sent it. */
  refuse: string
}

/**
 * Looks at each mail before it is checked and queued: returns another in its place, nothing to let it pass as it is, or
 * a refusal. It must not change the mail it is given. What it throws goes to the caller of `send()`.
 */
export type Interceptor = (mail: Mail) => Mail | Refusal | undefined | Promise<Mail | Refusal | undefined>

/** A mail as it goes on, and as its caller gave it, where that is not the same. */
export interface Intercepted {
  mail: Mail | PreparedMail
  given?: Record<string, unknown>
}

/** @throws ThreadpostError `REFUSED`, and what the interceptor throws */
export async function intercepted(interceptor: Interceptor, mail: Mail | PreparedMail): Promise<Intercepted> {
  const inner: unknown = isPrepared(mail) ? mail['mail'] : mail
  // What is no mail at all is refused better where it is checked.
  if (!isPlainObject(inner)) return { mail }
  const answer = await interceptor({ ...inner })
  if (answer === undefined) return { mail }
  if ('refuse' in answer) throw new ThreadpostError('REFUSED', `The mail was refused: ${answer.refuse}`)
  return {
    mail: isPrepared(mail) ? ({ ...mail, mail: answer } as unknown as PreparedMail) : answer,
    given: inner,
  }
}
