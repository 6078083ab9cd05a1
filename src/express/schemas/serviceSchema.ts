import { z } from 'zod'
import {
  type ArchiveStatus,
  type Erasure as ErasureType,
  isSettled,
  type MailerStats,
  type RenderedParts as RenderedPartsType,
  type SettledStatus,
  type SetupStatus as SetupStatusType,
  type Status,
  STATUSES,
  type TemplateSummary,
  type TransportStatus as TransportStatusType,
  type WebhookMeasures,
} from '../../index.js'
import { SCOPES } from '../../web/middleware.js'
import type { Problem as ProblemType } from '../../web/problem.js'
import { Mail, Receipt } from './mailSchema.js'
import { DeliveryStates, named, OutcomeCodes, PhaseCounts, SmtpReply } from './messageSchema.js'

const maybe = z.exactOptional
const Count = z.number().int().min(0)

export const Problem = named(
  'Problem',
  z.object({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.number().int(),
    detail: z.string().describe('One sentence for people.'),
    code: z.string().describe('A stable error code.') as z.ZodType<ProblemType['code']>,
    path: maybe(z.string()).describe('The invalid field, as written in code: `to[1]`.'),
    paths: maybe(z.array(z.string())).describe('Every missing path, for `MISSING_DATA`.'),
    id: maybe(z.string()).describe('The message that may have been accepted, with `accepted`.'),
    accepted: maybe(z.literal('unknown')).describe(
      'Present if the mail may have been accepted, for `QUEUE_UNAVAILABLE`.',
    ),
  }) satisfies z.ZodType<ProblemType>,
  'An error (RFC 9457), as `application/problem+json`.',
)

export const Batch = named(
  'Batch',
  z.strictObject({ messages: z.array(Mail).min(1) }),
  'Mails to send. A bare array of mails is accepted too.',
)

export const BatchResults = named(
  'BatchResults',
  z.object({ results: z.array(z.union([Receipt, Problem])) }),
  'A receipt or a problem for each mail of the batch, in order.',
)

/** The body of a request to render a template. */
export const RenderRequest = named(
  'RenderRequest',
  z.strictObject({
    data: z.record(z.string(), z.unknown()).optional().describe('Data for the placeholders of the template.'),
    locale: z.string().max(64).optional().describe('A language tag such as `fr-CA`.'),
  }),
)

/** The body of a request to erase an address. */
export const EraseRequest = named(
  'EraseRequest',
  z.strictObject({
    address: z.string().max(320).describe('The address of a recipient, without a name.'),
    suppressions: maybe(z.boolean()).describe(
      'Whether the address is also removed from the suppressed addresses, so that it can get mail again. False by default.',
    ),
  }),
)

export const Erasure = named(
  'Erasure',
  z.object({
    messages: Count.describe('Messages from which the address was erased.'),
    cancelled: Count.describe(
      'Those among them that were waiting for this recipient only, and are cancelled now.',
    ),
    inProgress: Count.describe(
      'Messages that are being sent: erase the address again once they are settled.',
    ),
    unreadable: Count.describe('Messages that no key decrypts: they still have the address.'),
    schedules: Count.describe('Schedules that lost the recipient. Those that had no other one are removed.'),
    webhookEvents: Count.describe('Events for webhooks in which the address was replaced.'),
    archived: maybe(Count).describe('Messages of the archive that were deleted.'),
    spooled: maybe(Count).describe(
      'Messages that wait for Redis in this process and may have the address: erase it again once Redis is back.',
    ),
  } satisfies Record<keyof ErasureType, z.ZodType>) satisfies z.ZodType<ErasureType>,
)

export const RenderedParts = named(
  'RenderedParts',
  z.object({
    subject: z.string(),
    preheader: z.string(),
    html: z.string(),
    text: z.string(),
  }) satisfies z.ZodType<RenderedPartsType>,
)

export const Templates = named(
  'Templates',
  z.object({
    templates: z.array(
      z.object({
        name: z.string(),
        locales: z.array(z.string()).describe('Locales of its variants, other than the default one.'),
        hasSubject: z.boolean(),
        sample: maybe(z.record(z.string(), z.any())).describe('Sample data, if there is a file with it.'),
        error: maybe(z.string()).describe("The error if the template can't be read."),
      }),
    ),
  }) satisfies z.ZodType<{ templates: TemplateSummary[] }>,
)

const Histogram = named(
  'Histogram',
  z.object({
    bounds: z.array(z.number()).describe('Upper bounds of the buckets, inclusive.'),
    counts: z.array(Count).describe('One more entry than bounds; the last counts values above all bounds.'),
    sum: z.number(),
    count: Count,
  }),
)

const QuotaUse = z.object({ limit: Count, used: Count })

const TransportStatus = named(
  'TransportStatus',
  z.object({
    transport: z.string(),
    breaker: z.enum(['closed', 'open']),
    since: maybe(z.iso.datetime()),
    trouble: maybe(
      z.object({
        code: z.enum(['CONNECTION_FAILED', 'AUTH_FAILED', 'TLS_FAILED']),
        message: z.string(),
        reply: maybe(SmtpReply),
      }),
    ),
    rate: maybe(z.number()).describe('Messages per second, if limited.'),
    quota: maybe(
      z.object({ hour: maybe(QuotaUse), day: maybe(QuotaUse), warmUpDay: maybe(z.number().int()) }),
    ).describe('How much of its quota and warm-up is used.'),
    slowedDomains: maybe(z.record(z.string(), z.number())).describe(
      'Messages per second of the domains that asked for less.',
    ),
    paused: maybe(z.literal(true)).describe('Present while the transport is paused.'),
    concurrency: maybe(z.number().int()).describe('Maximum number of connections, if it was changed.'),
  } satisfies Record<keyof TransportStatusType, z.ZodType>),
)

export const Stats = named(
  'Stats',
  z.object({
    ...(Object.fromEntries(STATUSES.map((status) => [status, Count])) as Record<Status, typeof Count>),
    accepted: Count.describe('Messages accepted by this queue since it was created.'),
    oldest: z.number().describe('Waiting time of the oldest due message, in milliseconds.'),
    paused: z.boolean(),
    commits: maybe(z.object({ time: Histogram, size: Histogram })),
    threads: z.array(
      z.object({
        thread: z.number().int(),
        delivering: Count,
        connections: Count,
        busy: z.number().min(0).max(1),
        phases: PhaseCounts,
      }),
    ),
    phases: PhaseCounts,
    transports: z.array(TransportStatus),
    webhooks: z
      .array(
        z.object({
          webhook: z.string().describe('The id of the endpoint.'),
          delivered: Count,
          failures: Count.describe('Attempts that failed.'),
          givenUp: Count.describe('Events that were given up.'),
          dropped: Count.describe('Events that were not stored.'),
          waiting: Count.describe('Events of all processes that wait to be sent.'),
          disabled: z.boolean(),
        } satisfies Record<keyof WebhookMeasures, z.ZodType>),
      )
      .describe('The webhooks, with the counts of this process.'),
    eventLoop: z
      .object({ p50: z.number(), p99: z.number(), max: z.number() })
      .describe('Event loop delay of the main thread in the last seconds, in ms.'),
    settled: z.array(
      z.object({
        status: z.enum(STATUSES.filter((status): status is SettledStatus => isSettled(status))),
        reason: z.enum([...OutcomeCodes.options, 'NONE']),
        count: Count,
      }),
    ),
    latency: Histogram.describe('Milliseconds from acceptance to settlement.'),
    timings: z.object({
      queue: Histogram,
      clone: Histogram,
      load: Histogram,
      compile: Histogram,
      render: Histogram,
      compose: Histogram,
      connect: Histogram,
      transaction: Histogram,
    }),
    threadRestarts: Count,
    recipients: z.array(
      z.object({
        state: DeliveryStates,
        transport: z.string(),
        template: maybe(z.string()),
        count: Count,
      }),
    ),
    unmatchedReports: Count.describe('Delivery reports about no message that is kept.'),
    setup: maybe(
      z.object({
        since: z.iso.datetime(),
        message: z.string(),
        deaths: Count,
        retryAt: z.iso.datetime(),
      } satisfies Record<keyof SetupStatusType, z.ZodType>),
    ).describe(
      'Present while mail is held because worker threads crash repeatedly, and no message causes it.',
    ),
    archive: maybe(
      z.object({
        stored: Count,
        failed: Count.describe('Messages that were sent, but could not be written.'),
        failing: z.boolean().describe('Whether writing fails.'),
        failingSince: maybe(z.iso.datetime()).describe('Present while writing fails.'),
      } satisfies Record<keyof ArchiveStatus, z.ZodType>),
    ).describe('The archive of sent messages, with the counts of this process.'),
    safeMode: z.boolean().describe('Whether mail to recipients that are not allowed is redirected.'),
  } satisfies Record<keyof MailerStats, z.ZodType>) satisfies z.ZodType<MailerStats>,
  'Statistics of the mailer.',
)

const ScheduleSummary = named(
  'ScheduleSummary',
  z.object({
    name: z.string(),
    cron: z.string(),
    timeZone: z.string(),
    catchUp: z.enum(['one', 'none']),
    nextAt: maybe(z.iso.datetime()).describe('Absent if there is no further time.'),
    lastAt: maybe(z.iso.datetime()).describe('The last time at which a mail was sent.'),
    lastId: maybe(z.string()).describe('Id of the message of that time.'),
    template: maybe(z.string()),
    subject: maybe(z.string()),
  }),
  'A recurring mail, without its recipients and content.',
)
export type ScheduleSummary = z.infer<typeof ScheduleSummary>

export const Schedules = named(
  'Schedules',
  z.object({ schedules: z.array(ScheduleSummary).describe('In the order of their names.') }),
)

export const LoginRequest = named('LoginRequest', z.strictObject({ token: z.string().max(4096) }))

const Scopes = z.array(z.enum(SCOPES))

export const LoggedIn = named('LoggedIn', z.object({ scopes: Scopes }))

export const Session = named(
  'Session',
  z.object({ scopes: Scopes, login: z.boolean().describe('Whether a login is required.') }),
  'The scopes of the session.',
)

export const Health = named('Health', z.object({ status: z.enum(['ok', 'ready']) }))
