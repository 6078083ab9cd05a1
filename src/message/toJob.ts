import { ThreadpostError } from '../errors.js'
import type { ResolvedOptions } from '../options.js'
import type { Content, JsonObject, Mailbox } from '../protocol/tasks.js'
import type { TemplateManifest } from '../protocol/templateManifest.js'
import { DEFAULT_TRANSPORT } from '../protocol/transportConfig.js'
import { missingPaths } from '../templates/missingData.js'
import { Validator, forbidControls, isPlainObject } from '../validation.js'
import { parseAddress, parseMailbox, parseMailboxes } from './addresses.js'
import { attachmentsOf } from './attachments.js'
import { contentOf, sizeOf, applyLocale } from './content.js'
import { answeredId, bytesOf, headersOf, listUnsubscribeOf, messageIdOf, messageIdsOf } from './headers.js'
import { fingerprint, mintId } from './ids.js'
import { toJsonObject } from './json.js'
import { type MailJob, recipientsOf, TOP_PRIORITY } from './messageState.js'

/** What a message is checked against, besides the options. */
export interface ValidationContext {
  options: Pick<
    ResolvedOptions,
    'context' | 'from' | 'intercept' | 'limits' | 'maxAge' | 'onUncertain' | 'safeMode'
  >
  transports: readonly string[]
  templates: ReadonlyMap<string, TemplateManifest>
  /** Templates are known to another process only, which says what is wrong with a mail of one. */
  templatesElsewhere?: boolean
}

/** What goes with a message from the request that sent it, in part from when it was prepared. */
export interface Origin {
  identity?: Identity
  context?: JsonObject | undefined
  /** What the caller gave, where an interceptor put another mail in its place. */
  given?: Readonly<Record<string, unknown>> | undefined
}

/** The identity of a message that was prepared earlier. */
export interface Identity {
  id: string
  messageId: string
  date: number
}

/**
 * The fields of a mail as the caller gave them, all of them there in one order: the code that reads them is compiled for one
 * shape, whatever objects callers build, and a mail made by a spread costs no more than a literal.
 */
function noFields() {
  return {
    template: undefined,
    data: undefined,
    locale: undefined,
    mjml: undefined,
    html: undefined,
    text: undefined,
    to: undefined,
    cc: undefined,
    bcc: undefined,
    replyTo: undefined,
    from: undefined,
    subject: undefined,
    messageId: undefined,
    inReplyTo: undefined,
    references: undefined,
    headers: undefined,
    listUnsubscribe: undefined,
    attachments: undefined,
    envelope: undefined,
    transport: undefined,
    priority: undefined,
    delay: undefined,
    sendAt: undefined,
    expiresAt: undefined,
    idempotencyKey: undefined,
    tags: undefined,
    metadata: undefined,
    onUncertain: undefined,
  }
}

type Fields = Record<keyof ReturnType<typeof noFields>, unknown>

const KEYS = Object.keys(noFields()) as (keyof Fields)[]

function fieldsOf(given: Record<string, unknown>): Fields {
  const fields: Fields = noFields()
  for (const key of Object.keys(given) as (keyof Fields)[]) fields[key] = given[key]
  return fields
}

const MAX_SUBJECT = 998
const MAX_TAGS = 20
const MAX_METADATA = 16 * 1024

const check: Validator = new Validator('INVALID_MESSAGE')

/**
 * Turns what a caller gave into a job: plain, checked, with its identity. What can't be delivered is refused here,
 * in this order: shape and recipients, unknown template, missing data, subject.
 * @throws ThreadpostError `INVALID_MESSAGE`, `UNKNOWN_TEMPLATE` or `MISSING_DATA`, with the path of the field.
 */
export function toJob(input: unknown, rules: ValidationContext, now: number, origin: Origin = {}): MailJob {
  const { identity, context, given } = origin
  const whole = check.object(input, '', KEYS)
  const mail = fieldsOf(whole)
  const { options } = rules
  const { limits } = options

  const from = mail['from'] === undefined ? options.from : parseMailbox(mail['from'], 'from', check)
  if (from === undefined) check.fail('from', "is required: the mailer has no default 'from'")
  const to = parseMailboxes(mail['to'], 'to', check, limits.recipients)
  const cc = parseMailboxes(mail['cc'], 'cc', check, limits.recipients)
  const bcc = parseMailboxes(mail['bcc'], 'bcc', check, limits.recipients)
  const recipients = recipientsOf({ to, cc, bcc }).length
  if (recipients === 0) check.fail('to', 'there is no recipient in to, cc or bcc')
  if (recipients > limits.recipients)
    check.fail('to', `the mail has ${recipients} recipients, at most ${limits.recipients} are allowed`)

  const content = contentOf(mail)
  const attachments = attachmentsOf(mail['attachments'], check, limits.attachments)
  const headers = headersOf(mail['headers'], check)
  const references = messageIdsOf(mail['references'], 'references', check)
  const sizes = attachments.reduce((sum, { size }) => sum + size, 0)
  const bytes = sizeOf(content) + sizes + bytesOf(headers, references)
  if (bytes > limits.message)
    check.fail('', `The mail has ${bytes} bytes, at most ${limits.message} are allowed (limits.message)`)

  const manifest = content.kind === 'template' ? rules.templates.get(content.name) : undefined
  const policy = manifest?.policy ?? {}
  if (context !== undefined) applyLocale(content, context, manifest)
  const acceptedAt = now
  const notBefore = notBeforeOf(mail, now)
  const expiresAt = expiryOf(mail, now, policy.expiresAfter ?? options.maxAge, notBefore)
  const id = identity?.id ?? mintId(now)
  const job: MailJob = {
    id,
    messageId:
      mail['messageId'] === undefined
        ? (identity?.messageId ?? `<${id}@${domainOf(from)}>`)
        : messageIdOf(mail['messageId'], 'messageId', check),
    date: identity?.date ?? now,
    from,
    to,
    cc,
    bcc,
    replyTo: parseMailboxes(mail['replyTo'], 'replyTo', check, limits.recipients),
    envelopeFrom: envelopeFromOf(mail['envelope'], from),
    content,
    headers,
    references,
    attachments,
    transport: transportOf(mail['transport'] ?? policy.transport, rules.transports),
    priority: check.integer(mail['priority'] ?? policy.priority ?? 5, 'priority', 0, TOP_PRIORITY),
    acceptedAt,
    expiresAt,
    onUncertain: check.oneOf(mail['onUncertain'] ?? options.onUncertain, 'onUncertain', ['retry', 'hold']),
    tags: check
      .array(mail['tags'] ?? [], 'tags', MAX_TAGS)
      .map((tag, index) => forbidControls(check.string(tag, `tags[${index}]`, 64), `tags[${index}]`, check)),
  }
  if (manifest?.version !== undefined) job.templateVersion = manifest.version
  const inReplyTo = answeredId(mail['inReplyTo'], 'inReplyTo', check)
  if (inReplyTo !== undefined) job.inReplyTo = inReplyTo
  if (notBefore !== undefined) job.notBefore = notBefore
  if (context !== undefined) job.context = context
  if (mail['listUnsubscribe'] !== undefined)
    job.listUnsubscribe = listUnsubscribeOf(mail['listUnsubscribe'], check)
  if (mail['metadata'] !== undefined) {
    job.metadata = toJsonObject(mail['metadata'], 'metadata', check)
    if (Buffer.byteLength(JSON.stringify(job.metadata)) > MAX_METADATA)
      check.fail('metadata', `is larger than ${MAX_METADATA} bytes`)
  }
  if (identity !== undefined) job.fingerprint = fingerprint(given ?? whole)
  if (mail['idempotencyKey'] !== undefined) {
    const key = check.string(mail['idempotencyKey'], 'idempotencyKey', 256)
    if (key === '') check.fail('idempotencyKey', 'is empty')
    job.idempotencyKey = forbidControls(key, 'idempotencyKey', check)
    job.fingerprint ??= fingerprint(given ?? whole)
  }

  const elsewhere = content.kind === 'template' && rules.templatesElsewhere === true
  if (content.kind === 'template' && !elsewhere)
    refuseMissing(manifestOf(content.name, rules.templates), (mail['data'] ?? {}) as JsonObject)
  const subject = subjectOf(mail['subject'], content, elsewhere || (manifest?.hasSubject ?? false))
  if (subject !== undefined) job.subject = subject
  return job
}

/** A name is looked up among those known, never joined to a path. */
export function manifestOf(name: string, templates: ValidationContext['templates']): TemplateManifest {
  const manifest = templates.get(name)
  if (manifest !== undefined) return manifest
  const known = [...templates.keys()].slice(0, 20).join(', ')
  throw new ThreadpostError(
    'UNKNOWN_TEMPLATE',
    `template: there is no template ${JSON.stringify(name.slice(0, 100))}. Known: ${known === '' ? 'none; is the templates option set?' : known}`,
    { path: 'template' },
  )
}

/** @throws ThreadpostError `MISSING_DATA` with the paths that the template needs and the data lacks. */
function refuseMissing(manifest: TemplateManifest, data: JsonObject): void {
  const paths = missingPaths(manifest.needs, data)
  if (paths.length === 0) return
  throw new ThreadpostError(
    'MISSING_DATA',
    `data: the template '${manifest.name}' needs data that is missing: ${paths.join(', ')}`,
    { path: `data.${paths[0] ?? ''}`, paths },
  )
}

function subjectOf(value: unknown, content: Content, templateHasSubject: boolean): string | undefined {
  if (value !== undefined)
    return forbidControls(check.string(value, 'subject', MAX_SUBJECT), 'subject', check)
  const bound = content.kind === 'mjml' ? content.source.includes('<mj-title') : templateHasSubject
  if (!bound) check.fail('subject', 'is required: the content has no <mj-title> to take it from')
  return undefined
}

/** Where no transport is known, other processes know them, and a mail that names none takes their first. */
function transportOf(value: unknown, names: readonly string[]): string {
  if (value === undefined) return names[0] ?? DEFAULT_TRANSPORT
  return names.length === 0 ? check.string(value, 'transport', 64) : check.oneOf(value, 'transport', names)
}

function envelopeFromOf(value: unknown, from: Mailbox): string {
  if (value === undefined) return from.address
  const envelope = check.object(value, 'envelope', ['from'])
  return envelope['from'] === undefined
    ? from.address
    : parseAddress(envelope['from'], 'envelope.from', check)
}

function notBeforeOf(mail: Record<string, unknown>, now: number): number | undefined {
  if (mail['delay'] !== undefined && mail['sendAt'] !== undefined)
    check.fail('sendAt', 'give either delay or sendAt')
  if (mail['delay'] !== undefined) return now + check.duration(mail['delay'], 'delay', 0, MAX_AHEAD)
  if (mail['sendAt'] === undefined) return undefined
  const time = timeOf(mail['sendAt'], 'sendAt')
  if (time > now + MAX_AHEAD) check.fail('sendAt', 'is more than a year ahead')
  return time
}

const LATEST = Date.UTC(2200, 0)
const MAX_AHEAD = 366 * 24 * 60 * 60 * 1000

/** A mail that is to wait gets its whole age after the wait. */
function expiryOf(mail: Record<string, unknown>, now: number, maxAge: number, notBefore = now): number {
  if (mail['expiresAt'] === undefined) return Math.ceil(Math.max(now, notBefore) + maxAge)
  const time = timeOf(mail['expiresAt'], 'expiresAt')
  if (time <= now) check.fail('expiresAt', 'is in the past')
  if (time <= notBefore) check.fail('expiresAt', 'is before the mail may be sent')
  return time
}

function timeOf(value: unknown, path: string): number {
  const time =
    value instanceof Date
      ? value.getTime()
      : typeof value === 'string'
        ? Date.parse(value)
        : (value as number)
  if (typeof time !== 'number' || !Number.isFinite(time))
    check.fail(path, 'must be a Date, ISO 8601 text or milliseconds since the epoch')
  if (time < 0 || time > LATEST) check.fail(path, 'is not between 1970 and 2200')
  return Math.round(time)
}

function domainOf(from: Mailbox): string {
  return from.address.slice(from.address.lastIndexOf('@') + 1)
}

/** Whether it is what `prepare()` gave. */
export function isPrepared(value: unknown): value is Record<string, unknown> {
  return isPlainObject(value) && 'prepared' in value
}
