import { createHash, timingSafeEqual } from 'node:crypto'
import type { SMTPServerEnvelope } from 'smtp-server'
import { isLoopback } from '../loopback.js'
import { parseAddress } from '../message/addresses.js'
import { addressKey, needsSmtpUtf8 } from '../protocol/addressForms.js'
import { Validator } from '../validation.js'
import type { AddressList } from './addressList.js'
import { type AuthorFields, authorsOf } from './authorFields.js'
import { FailedLogins } from './clientLimits.js'
import type { ResolvedSmtpIntake, ResolvedUser } from './smtpIntakeOptions.js'
import { isRefusal, refusal, replyTo, type SmtpRefusal } from './smtpReply.js'

/** Who submits a message: a user, or with no `auth`, a program on this machine. */
export interface Submitter {
  user?: string
  senders: readonly AddressList[]
  recipients: readonly AddressList[]
}

const UNAUTHENTICATED = refusal(530, '5.7.0', 'Authentication is required')

const check: Validator = new Validator('INVALID_MESSAGE')

/** Decides who may send what to whom. Whatever it doesn't allow is refused, so that the server is no open relay. */
export class SubmissionPolicy {
  readonly #users: readonly { user: ResolvedUser; digest: Buffer }[] | undefined
  readonly #lists: Pick<ResolvedSmtpIntake, 'senders' | 'recipients'>
  readonly #failedLogins: FailedLogins
  readonly #bounces: string | undefined

  constructor({ users, senders, recipients, limits, bounces }: ResolvedSmtpIntake) {
    this.#bounces = bounces === undefined ? undefined : addressKey(bounces).toLowerCase()
    this.#users = users?.map((user) => ({ user, digest: digestOf(user.user, user.pass) }))
    this.#lists = { ...(senders && { senders }), ...(recipients && { recipients }) }
    this.#failedLogins = new FailedLogins(limits.failedLogins)
  }

  /** Compares with the digests of all users, so that right and wrong passwords take the same time. */
  logIn(name: string, pass: string, address: string): Submitter | SmtpRefusal {
    const presented = digestOf(name, pass)
    let match: ResolvedUser | undefined
    for (const { user, digest } of this.#users ?? []) if (timingSafeEqual(presented, digest)) match = user
    if (this.#failedLogins.refuses(address, match?.user))
      return refusal(454, '4.7.0', 'Too many wrong passwords from this address, try again later')
    if (match === undefined) {
      this.#failedLogins.failed(address)
      return refusal(535, '5.7.8', 'Wrong user name or password')
    }
    this.#failedLogins.succeeded(address, match.user)
    if (!match.scopes.includes('send')) return refusal(535, '5.7.0', "This user lacks the scope 'send'")
    return this.#submitter(match)
  }

  /** The submitter of a connection without authentication, if there is one. */
  anonymous(address: string): Submitter | undefined {
    return this.#users === undefined && isLoopback(address) ? this.#submitter() : undefined
  }

  /** Whether an address is the one that reports go to, with or without a tag. */
  isBounceAddress(address: string): boolean {
    if (this.#bounces === undefined) return false
    const at = address.lastIndexOf('@')
    return (
      addressKey(address.slice(0, at).replace(/\+.*/s, '') + address.slice(at)).toLowerCase() ===
      this.#bounces
    )
  }

  refusedSender(
    submitter: Submitter | undefined,
    address: string,
    smtpUtf8: boolean,
  ): SmtpRefusal | undefined {
    if (submitter === undefined) return this.#bounces === undefined ? UNAUTHENTICATED : undefined
    // The null reverse-path is for reports, which no sender's rights limit (RFC 5321 section 4.5.5).
    if (address === '') return undefined
    const invalid = refusedAddress(address, 'envelope.from', smtpUtf8)
    if (invalid !== undefined) return invalid
    return submitter.senders.every((list) => list.has(address))
      ? undefined
      : notAllowed(submitter, 'send as', address)
  }

  refusedRecipient(
    submitter: Submitter | undefined,
    address: string,
    { mailFrom, rcptTo: [first], smtpUtf8 = false }: SMTPServerEnvelope,
  ): SmtpRefusal | undefined {
    const isReport = this.isBounceAddress(address)
    if (first !== undefined && this.isBounceAddress(first.address) !== isReport)
      return refusal(452, '4.5.3', 'Send reports and other mail separately')
    if (isReport) return undefined
    if (submitter === undefined) return UNAUTHENTICATED
    // Anyone may name a sender, for reports. For other mail, the submitter must have its rights.
    const sender = this.refusedSender(submitter, mailFrom === false ? '' : mailFrom.address, smtpUtf8)
    if (sender !== undefined) return sender
    const invalid = refusedAddress(address, 'envelope.to', smtpUtf8)
    if (invalid !== undefined) return invalid
    return submitter.recipients.every((list) => list.has(address))
      ? undefined
      : notAllowed(submitter, 'write to', address)
  }

  refusedAuthors(submitter: Submitter, fields: AuthorFields): SmtpRefusal | undefined {
    if (submitter.senders.length === 0) return undefined
    const authors = authorsOf(fields)
    if (isRefusal(authors)) return authors
    const other = authors.find((address) => !submitter.senders.every((list) => list.has(address)))
    return other === undefined ? undefined : notAllowed(submitter, 'send as', other)
  }

  #submitter(user?: ResolvedUser): Submitter {
    const { senders, recipients } = this.#lists
    return {
      ...(user === undefined ? {} : { user: user.user }),
      senders: [senders, user?.senders].filter((list) => list !== undefined),
      recipients: [recipients, user?.recipients].filter((list) => list !== undefined),
    }
  }
}

function digestOf(user: string, pass: string): Buffer {
  return createHash('sha256').update(`${user}\0${pass}`).digest()
}

function refusedAddress(address: string, path: string, smtpUtf8: boolean): SmtpRefusal | undefined {
  try {
    parseAddress(address, path, check)
  } catch (error) {
    return replyTo(error)
  }
  return needsSmtpUtf8(address) && !smtpUtf8
    ? refusal(553, '5.6.7', 'This address requires SMTPUTF8 (RFC 6531)')
    : undefined
}

function notAllowed({ user }: Submitter, action: string, address: string): SmtpRefusal {
  const who = user === undefined ? 'Clients' : `The user ${user.slice(0, 60)}`
  return refusal(550, '5.7.1', `${who} may not ${action} ${address.slice(0, 100)}`)
}
