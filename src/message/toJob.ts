import { ThreadpostError } from '../errors.js'
import { bounceAddress, type BouncePlan } from '../feedback/bounceAddress.js'
import type { Content, JsonObject, Mailbox } from '../protocol/tasks.js'
import type { TemplateManifest } from '../protocol/templateManifest.js'
import { DEFAULT_TRANSPORT } from '../protocol/transportConfig.js'
import type { ResolvedOptions } from '../resolvedOptions.js'
import { DEFAULT_STREAM, streamOf } from '../suppressions/suppression.js'
import { refuseUnfit, variantOf } from '../templates/missingData.js'
import { type ReversePathLimit, refuseReversePath } from '../transports/reversePaths.js'
import { Validator, forbidControls, isPlainObject } from '../validation.js'
import { parseAddress, parseMailbox, parseMailboxes } from './addresses.js'
import { attachmentsOf } from './attachments.js'
import { calendarOf } from './calendar.js'
import { contentOf, sizeOfContent, applyLocale } from './content.js'
import {
  inReplyToOf,
  sizeOfHeaders,
  headersOf,
  listUnsubscribeOf,
  messageIdOf,
  messageIdsOf,
} from './headers.js'
import { fingerprint, messageIdFor, mintId } from './ids.js'
import { toJsonObject } from './json.js'
import { MAIL_FIELDS } from './mailFields.js'
import { type MailJob, recipientsOf } from './messageState.js'
import { rawPartsOf, refuseRawOver, withoutTrace } from './rawMail.js'
import { expiryOf, notBeforeOf } from './sendAtAndExpiry.js'
import { signedUnsubscribe } from './signedUnsubscribe.js'

/** Everything that a mail is validated against. */
export interface ValidationContext {
  options: Pick<
    ResolvedOptions,
    | 'attachmentRoot'
    | 'bounces'
    | 'context'
    | 'from'
    | 'intercept'
    | 'limits'
    | 'maxAge'
    | 'onUncertain'
    | 'safeMode'
    | 'unsubscribe'
  >
  transports: KnownTransports
  templates: ReadonlyMap<string, TemplateManifest>
  /** Why files that look like templates are none, by the name that the template would have. */
  notTemplates?: ReadonlyMap<string, string>
  /** Whether only another process knows the templates. That process then reports errors in a mail's template or data. */
  templatesElsewhere?: boolean
}

/** The transports that a mail can name. */
export interface KnownTransports {
  /** The default transport; undefined without one. */
  readonly first: string | undefined
  /** Whether a mail may name others: they are resolved when it is delivered. */
  readonly open: boolean
  has(name: string): boolean
  /** Whether a transport can't send a finished message, or its failover can't. */
  withoutRaw(name: string): boolean
  /** How a transport, or its failover, restricts the reverse-path. */
  reversePathLimit(name: string): ReversePathLimit | undefined
}

/** Origin of a mail: the context of its request, and its identity if it was prepared. */
export interface Origin {
  identity?: Identity
  context?: JsonObject | undefined
  /** The caller's mail, if an interceptor replaced it. */
  original?: Readonly<Record<string, unknown>> | undefined
}

/** The identity of a message that was prepared or submitted earlier. */
export interface Identity {
  id: string
  /** Absent if it follows from the id and the sender. */
  messageId?: string
  date: number
}

type Fields = Record<keyof typeof MAIL_FIELDS, unknown>

const KEYS = Object.keys(MAIL_FIELDS) as (keyof Fields)[]
const NO_FIELDS = Object.fromEntries(KEYS.map((key) => [key, undefined])) as Fields

/**
 * The fields of a mail as the caller passed them, every one present and in the same order. The code that reads them is thereby
 * compiled for one object shape, and a mail built with a spread is as fast as a literal.
 */
function fieldsOf(input: Record<string, unknown>): Fields {
  const fields = { ...NO_FIELDS }
  for (const key of Object.keys(input) as (keyof Fields)[]) fields[key] = input[key]
  return fields
}

const MAX_METADATA = 16 * 1024

const check: Validator = new Validator('INVALID_MESSAGE')

/**
 * Validates a caller's mail and converts it to a job: plain data with an identity. Checks are made in this order: shape and
 * recipients, unknown template, missing data, subject.
 * @throws ThreadpostError `INVALID_MESSAGE`, `UNKNOWN_TEMPLATE` or `MISSING_DATA`, with the path of the field
 */
export function toJob(
  input: unknown,
  validation: ValidationContext,
  now: number,
  origin: Origin = {},
): MailJob {
  const { identity, context, original } = origin
  const whole = check.object(input, '', KEYS)
  const mail = fieldsOf(whole)
  const { options } = validation
  const { limits } = options

  const raw = mail['raw'] === undefined ? undefined : rawPartsOf(mail, check, limits.recipients)
  const from =
    raw?.from ?? (mail['from'] === undefined ? options.from : parseMailbox(mail['from'], 'from', check))
  if (from === undefined) check.fail('from', "is required, because the mailer has no default 'from'")
  const to = raw?.to ?? parseMailboxes(mail['to'], 'to', check, limits.recipients)
  const cc = parseMailboxes(mail['cc'], 'cc', check, limits.recipients)
  const bcc = parseMailboxes(mail['bcc'], 'bcc', check, limits.recipients)
  const recipients = recipientsOf({ to, cc, bcc }).length
  if (recipients === 0) check.fail('to', 'the mail has no recipient in to, cc or bcc')
  if (recipients > limits.recipients)
    check.fail('to', `the mail has ${recipients} recipients; at most ${limits.recipients} are allowed`)

  const content = raw?.content ?? contentOf(mail)
  const attachments = attachmentsOf(mail['attachments'], check, limits.attachments)
  attachments.push(...calendarOf(mail['calendar'], check))
  const headers = headersOf(mail['headers'], check)
  const references = messageIdsOf(mail['references'], 'references', check)
  const sizes = attachments.reduce((sum, { size }) => sum + size, 0)
  const bytes = sizeOfContent(content) + sizes + sizeOfHeaders(headers, references)
  if (bytes > limits.message)
    check.fail('', `The mail has ${bytes} bytes; at most ${limits.message} are allowed (limits.message)`)

  const manifest = content.kind === 'template' ? validation.templates.get(content.name) : undefined
  const policy = manifest?.policy ?? {}
  if (context !== undefined) applyLocale(content, context, manifest)
  const acceptedAt = now
  const notBefore = notBeforeOf(mail, now, check)
  const expiresAt = expiryOf(mail, now, policy.expiresAfter ?? options.maxAge, check, notBefore)
  const id = identity?.id ?? mintId(now)
  const job: MailJob = {
    id,
    messageId:
      mail['messageId'] === undefined
        ? (raw?.messageId ?? identity?.messageId ?? messageIdFor(id, from.address))
        : messageIdOf(mail['messageId'], 'messageId', check),
    date: identity?.date ?? now,
    from,
    to,
    cc,
    bcc,
    replyTo: parseMailboxes(mail['replyTo'], 'replyTo', check, limits.recipients),
    envelopeFrom: raw?.envelopeFrom ?? envelopeFromOf(mail['envelope'], from, id, options.bounces),
    content,
    headers,
    references,
    attachments,
    transport: transportOf(mail['transport'] ?? policy.transport, validation.transports),
    priority: check.integer(
      mail['priority'] ?? policy.priority ?? 5,
      'priority',
      0,
      MAIL_FIELDS.priority.max,
    ),
    acceptedAt,
    expiresAt,
    onUncertain: check.oneOf(mail['onUncertain'] ?? options.onUncertain, 'onUncertain', ['retry', 'hold']),
    tags: check
      .array(mail['tags'] ?? [], 'tags', MAIL_FIELDS.tags.max)
      .map((tag, index) =>
        forbidControls(
          check.string(tag, `tags[${index}]`, MAIL_FIELDS.tags.maxEntry),
          `tags[${index}]`,
          check,
        ),
      ),
  }
  if (manifest?.version !== undefined) job.templateVersion = manifest.version
  if (mail['sender'] !== undefined) job.sender = parseMailbox(mail['sender'], 'sender', check)
  const inReplyTo = inReplyToOf(mail['inReplyTo'], 'inReplyTo', check)
  if (inReplyTo !== undefined) job.inReplyTo = inReplyTo
  if (notBefore !== undefined) job.notBefore = notBefore
  if (context !== undefined) job.context = context
  if (mail['group'] !== undefined) {
    const group = check.string(mail['group'], 'group', MAIL_FIELDS.group.max)
    if (group !== '') job.group = forbidControls(group, 'group', check)
  }
  if (mail['stream'] !== undefined) {
    const stream = streamOf(mail['stream'], 'stream', check)
    if (stream !== DEFAULT_STREAM) job.stream = stream
  }
  if (mail['listUnsubscribe'] === true) job.listUnsubscribe = signedUnsubscribe(job, options.unsubscribe)
  else if (mail['listUnsubscribe'] !== undefined)
    job.listUnsubscribe = listUnsubscribeOf(mail['listUnsubscribe'], check)
  if (mail['metadata'] !== undefined) {
    job.metadata = toJsonObject(mail['metadata'], 'metadata', check)
    if (Buffer.byteLength(JSON.stringify(job.metadata)) > MAX_METADATA)
      check.fail('metadata', `is larger than ${MAX_METADATA} bytes`)
  }
  if (identity !== undefined) job.fingerprint = fingerprint(withoutTrace(original ?? whole, check))
  if (mail['idempotencyKey'] !== undefined) {
    const key = check.string(mail['idempotencyKey'], 'idempotencyKey', MAIL_FIELDS.idempotencyKey.max)
    if (key === '') check.fail('idempotencyKey', 'is empty')
    job.idempotencyKey = forbidControls(key, 'idempotencyKey', check)
    job.fingerprint ??= fingerprint(withoutTrace(original ?? whole, check))
  }

  const elsewhere = content.kind === 'template' && validation.templatesElsewhere === true
  if (content.kind === 'template' && !elsewhere) {
    const known = manifestOf(content.name, validation.templates, validation.notTemplates)
    refuseUnfit(known, content.locale, (mail['data'] ?? {}) as JsonObject)
  }
  if (raw !== undefined) {
    if (raw.subject !== undefined) job.subject = raw.subject
    if (validation.transports.withoutRaw(job.transport)) refuseRawOver(job.transport)
    return job
  }
  if (isPlainObject(mail['envelope']) && mail['envelope']['from'] !== undefined)
    refuseReversePath(job, validation.transports.reversePathLimit(job.transport))
  const subject = subjectOf(mail['subject'], content, elsewhere ? undefined : manifest)
  if (subject !== undefined) job.subject = subject
  return job
}

/** Looks a template up by its name among the known ones; the name is never joined to a path. */
export function manifestOf(
  name: string,
  templates: ValidationContext['templates'],
  notTemplates: ValidationContext['notTemplates'],
): TemplateManifest {
  const manifest = templates.get(name)
  if (manifest !== undefined) return manifest
  const known = [...templates.keys()].slice(0, 20).join(', ')
  const reason = notTemplates?.get(name)
  const none = reason === undefined ? 'none; check the templates option' : 'none'
  throw new ThreadpostError(
    'UNKNOWN_TEMPLATE',
    `template: no template is named ${JSON.stringify(name.slice(0, 100))}${reason === undefined ? '' : `: ${reason}`}. Known templates: ${known === '' ? none : known}`,
    { path: 'template' },
  )
}

/** @param manifest of the template; undefined without one, or if only another process knows it */
function subjectOf(
  value: unknown,
  content: Content,
  manifest: TemplateManifest | undefined,
): string | undefined {
  if (value !== undefined)
    return forbidControls(check.string(value, 'subject', MAIL_FIELDS.subject.max), 'subject', check)
  const bound =
    content.kind === 'mjml'
      ? content.source.includes('<mj-title')
      : content.kind === 'template' &&
        (manifest === undefined || variantOf(manifest, content.locale).hasSubject)
  if (!bound) check.fail('subject', 'is required, because the content has no <mj-title>')
  return undefined
}

/** Without known transports, other processes have them; a mail without `transport` then uses their first one. */
function transportOf(value: unknown, transports: KnownTransports): string {
  if (value === undefined) return transports.first ?? DEFAULT_TRANSPORT
  const name = forbidControls(check.string(value, 'transport', 64), 'transport', check)
  if (name === '') check.fail('transport', 'is empty')
  if (!transports.open && transports.first !== undefined && !transports.has(name))
    // The names of others may be those of tenants.
    check.fail(
      'transport',
      `no transport is named ${JSON.stringify(name)}; configure it, or add it with addTransport()`,
    )
  return name
}

function envelopeFromOf(value: unknown, from: Mailbox, id: string, bounces: BouncePlan | undefined): string {
  const envelope = value === undefined ? {} : check.object(value, 'envelope', ['from', 'to'])
  if (envelope['to'] !== undefined)
    check.fail('envelope.to', 'is only for raw; recipients are to, cc and bcc')
  if (envelope['from'] === undefined) return bounces === undefined ? from.address : bounceAddress(bounces, id)
  return envelope['from'] === '' ? '' : parseAddress(envelope['from'], 'envelope.from', check)
}

/** Whether the value is a prepared mail. */
export function isPrepared(value: unknown): value is Record<string, unknown> {
  return isPlainObject(value) && 'prepared' in value
}
