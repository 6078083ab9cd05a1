import { z } from 'zod'
import {
  WEBHOOK_TYPES,
  type WebhookEvent,
  type WebhookFailure,
  type WebhookStatus,
  type WebhookType,
} from '../../index.js'
import { named } from './messageSchema.js'

const maybe = z.exactOptional
const Count = z.number().int().min(0)

const Failure = named(
  'WebhookFailure',
  z.object({
    id: z.string().describe('The `webhook-id` of the event.'),
    type: z.enum(Object.values(WEBHOOK_TYPES) as [WebhookType, ...WebhookType[]]),
    message: maybe(z.string()).describe('The id of the message; absent for an alert.'),
    at: z.iso.datetime().describe('Time of the event.'),
    failedAt: z.iso.datetime().describe('Time of the last attempt.'),
    attempts: Count,
    problem: z.string(),
  } satisfies Record<keyof WebhookFailure, z.ZodType>) satisfies z.ZodType<WebhookFailure>,
  'An event that an endpoint did not accept.',
)

const Webhook = named(
  'Webhook',
  z.object({
    id: z.string(),
    url: z.string().describe('Without its query and long parts of its path, which may be secret.'),
    events: z.array(z.enum(Object.keys(WEBHOOK_TYPES) as [WebhookEvent, ...WebhookEvent[]])),
    state: z
      .enum(['working', 'failing', 'disabled'])
      .describe('`disabled`: the receiver answered 410, and gets no more events.'),
    since: maybe(z.iso.datetime()).describe('Since when it is failing or disabled.'),
    problem: maybe(z.string()),
    waiting: Count.describe('Events that wait to be sent.'),
    delivered: Count,
    failed: Count.describe('Events that were given up and can be sent again.'),
    dropped: Count.describe('Events that were not stored.'),
    failures: z.array(Failure).describe('The last 20 events that were given up, the latest first.'),
  } satisfies Record<keyof WebhookStatus, z.ZodType>) satisfies z.ZodType<WebhookStatus>,
  "An endpoint that receives the mailer's events. The counts are of all processes on the queue.",
)

export const WebhookList = named('WebhookList', z.object({ webhooks: z.array(Webhook) }))

/** The body of a request to send failed events again. */
export const Redelivery = named(
  'Redelivery',
  z.strictObject({
    event: z.string().max(100).optional().describe('The `webhook-id` of the only event to send.'),
  }),
)

export const Redelivered = named(
  'Redelivered',
  z.object({ events: Count }),
  'How many events are sent again.',
)
