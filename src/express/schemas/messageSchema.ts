import { z } from 'zod'
import {
  BOUNCE_CATEGORIES,
  DELIVERY_STATES,
  type Delivery as DeliveryType,
  type HeldReason,
  type Message as MessageType,
  type MessageAttempt as MessageAttemptType,
  type RecipientState as RecipientStateType,
  type MessagePage as MessagePageType,
  type Outcome,
  type SuppressionReason,
} from '../../index.js'
import { type Phase, PHASES } from '../../protocol/progress.js'
import { exhaustive, Statuses } from '../../web/requestSchema.js'

/** The named schemas of the OpenAPI document. */
export const components = z.registry<{ id: string; description?: string }>()

/** Adds a schema to the document under a name. */
export function named<T extends z.ZodType>(id: string, schema: T, description?: string): T {
  components.add(schema, { id, ...(description === undefined ? {} : { description }) })
  return schema
}

const Phases = z.enum(PHASES)

export const OutcomeCodes = z.enum(
  exhaustive<Outcome['code']>({
    OK: true,
    SMTP_REJECTED: true,
    SMTPUTF8_UNSUPPORTED: true,
    '8BITMIME_UNSUPPORTED': true,
    SIZE_EXCEEDED: true,
    TEMPLATE_ERROR: true,
    LOAD_FAILED: true,
    MISSING_DATA: true,
    UNKNOWN_TEMPLATE: true,
    INVALID_MESSAGE: true,
    TRANSPORT_UNAVAILABLE: true,
    POISON: true,
    SUPPRESSED: true,
    SMTP_DEFERRED: true,
    CONNECTION_CLOSED: true,
    TIMEOUT: true,
    REPLY_INVALID: true,
    INTERNAL_ERROR: true,
    CONNECTION_FAILED: true,
    AUTH_FAILED: true,
    TLS_FAILED: true,
    SETUP_FAILED: true,
    RELEASED: true,
    REPLY_LOST: true,
    REPLY_TIMEOUT: true,
    THREAD_DIED: true,
    PROCESS_DIED: true,
    QUEUE_RESTORED: true,
    CANCELLED: true,
    EXPIRED: true,
    SKIPPED: true,
  }),
)

const Time = z.iso.datetime()
const maybe = z.exactOptional

export const DeliveryStates = z.enum(DELIVERY_STATES)

const Delivery = named(
  'Delivery',
  z.object({
    state: DeliveryStates,
    at: Time,
    permanent: maybe(z.boolean()).describe('Whether a bounce is final for this address.'),
    category: maybe(z.enum(BOUNCE_CATEGORIES)).describe('The cause of a bounce or a delay.'),
    enhanced: maybe(z.string()).describe('Enhanced status code (RFC 3463), such as `5.1.1`.'),
    detail: maybe(z.string()).describe('The text of the server.'),
    source: z.string().describe('Who reported it.'),
    unverified: maybe(z.literal(true)).describe(
      'A mail without a valid token reported it: it suppresses nobody, and settles nothing.',
    ),
  } satisfies Record<keyof DeliveryType, z.ZodType>) satisfies z.ZodType<DeliveryType>,
  'What happened to a recipient after the next server accepted the message.',
)

export const SuppressionReasons = z.enum(
  exhaustive<SuppressionReason>({ bounce: true, complaint: true, unsubscribe: true, manual: true }),
)

const Mailbox = named('Mailbox', z.object({ name: maybe(z.string()), address: z.string() }))

export const SmtpReply = named(
  'SmtpReply',
  z.object({
    code: z.number().int(),
    enhanced: maybe(z.string()).describe('Enhanced status code (RFC 3463), such as `5.1.1`.'),
    text: z.string(),
  }),
  "A server's reply (RFC 5321 section 4.2).",
)

const Timings = z
  .object({
    queue: maybe(z.number()),
    clone: maybe(z.number()),
    load: maybe(z.number()),
    compile: maybe(z.number()),
    render: maybe(z.number()),
    compose: maybe(z.number()),
    connect: maybe(z.number()),
    transaction: maybe(z.number()),
  })
  .describe('Milliseconds spent on each step.')

const MessageAttempt = named(
  'MessageAttempt',
  z.object({
    start: Time,
    end: Time,
    thread: z.number().int().describe('Id of the thread that made the attempt; 0 is the main thread.'),
    transport: z
      .string()
      .describe("The transport that carried out the attempt: the message's own, or its failover."),
    counted: z.boolean().describe('Whether it counts toward the maximum number of attempts.'),
    outcome: z.enum(
      exhaustive<Outcome['result']>({
        sent: true,
        rejected: true,
        deferred: true,
        uncertain: true,
        withdrawn: true,
      }),
    ),
    code: OutcomeCodes.describe('The reason.'),
    message: z.string().describe('One sentence for people.'),
    phase: Phases.describe('The phase that the attempt reached.'),
    reply: maybe(SmtpReply),
    timings: Timings,
  } satisfies Record<keyof MessageAttemptType, z.ZodType>),
)

const RecipientState = named(
  'RecipientState',
  z.object({
    address: z.string(),
    status: z.enum(
      exhaustive<RecipientStateType['status']>({
        waiting: true,
        deferred: true,
        uncertain: true,
        sent: true,
        failed: true,
        cancelled: true,
        expired: true,
      }),
    ),
    reply: maybe(SmtpReply),
    code: maybe(OutcomeCodes).describe('The reason, if no server was asked about this recipient.'),
    suppressed: maybe(
      z.object({ reason: SuppressionReasons, since: Time, stream: maybe(z.string()) }),
    ).describe('Why nothing is sent to the recipient, with the code `SUPPRESSED`.'),
    delivery: maybe(Delivery),
  }),
)

export const Message = named(
  'Message',
  z.object({
    id: z.string(),
    messageId: z.string(),
    status: Statuses,
    heldReason: maybe(
      z.enum(
        exhaustive<HeldReason>({ uncertain: true, breaker: true, setup: true, budget: true, paused: true }),
      ),
    ),
    uncertain: z.boolean().describe('Whether an attempt sent the body and received no reply.'),
    from: Mailbox,
    to: z.array(Mailbox),
    cc: z.array(Mailbox),
    bcc: z.array(Mailbox),
    subject: maybe(z.string()),
    resendOf: maybe(z.string().describe('Id of the message that this one sends again.')),
    template: maybe(z.string()),
    locale: maybe(z.string()),
    transport: z.string(),
    stream: z.string().describe('The scope of suppressions and unsubscribes.'),
    group: maybe(z.string()).describe('At equal priority, groups take turns.'),
    priority: z.number().int(),
    tags: z.array(z.string()),
    metadata: maybe(z.record(z.string(), z.any())),
    context: maybe(z.record(z.string(), z.any())).describe('Context of the request that sent the message.'),
    attachments: z.array(
      z.object({
        filename: maybe(z.string()),
        contentType: maybe(z.string()),
        size: z.number().int(),
      }),
    ),
    acceptedAt: Time,
    sendAt: maybe(Time),
    expiresAt: Time,
    nextAttemptAt: maybe(Time),
    settledAt: maybe(Time),
    attempts: z.array(MessageAttempt),
    recipients: z.array(RecipientState).describe('The state of each recipient.'),
    unreadable: maybe(z.literal(true)).describe(
      "Present if the message can't be decrypted: addresses, subject, attempts, and recipients are not known.",
    ),
    erased: maybe(z.literal(true)).describe(
      'Present if an address was erased from it, and its content with it.',
    ),
  } satisfies Record<keyof MessageType, z.ZodType>) satisfies z.ZodType<MessageType>,
  'A message and its outcome, without its data, bodies and attachment contents.',
)

export const MessagePage = named(
  'MessagePage',
  z.object({
    messages: z.array(Message).describe('Newest first.'),
    cursor: maybe(z.string()).describe('Present if there may be more messages.'),
  }) satisfies z.ZodType<MessagePageType>,
)

export const PhaseCounts = named(
  'PhaseCounts',
  z.object(
    Object.fromEntries(Phases.options.map((phase) => [phase, z.number().int()])) as Record<
      Phase,
      z.ZodNumber
    >,
  ),
  'The number of deliveries in each phase.',
)
