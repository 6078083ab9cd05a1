import { z } from 'zod'
import type { Scope } from '../web/middleware.js'
import { ListParameters } from '../web/requestSchema.js'
import { Mail, Receipt } from './schemas/mailSchema.js'
import { Message, MessagePage } from './schemas/messageSchema.js'
import {
  Batch,
  BatchResults,
  EraseRequest,
  Erasure,
  Health,
  LoggedIn,
  LoginRequest,
  RenderedParts,
  RenderRequest,
  Schedules,
  Session,
  Stats,
  Templates,
} from './schemas/serviceSchema.js'
import {
  ImportResult,
  ListSuppressions,
  RemoveSuppression,
  Suppression,
  SuppressionInput,
  SuppressionPage,
} from './schemas/suppressionSchema.js'
import { Redelivered, Redelivery, WebhookList } from './schemas/webhookSchema.js'

/** One operation of the API, as the router serves it and as the OpenAPI document describes it. */
export interface Operation {
  method: 'get' | 'post' | 'delete'
  /** In OpenAPI syntax: `/messages/{id}`. */
  path: string
  /** The scope that a token needs. Without one, the operation is open. */
  scope?: Scope
  summary: string
  query?: z.ZodObject
  /** Request headers other than the token. */
  headers?: Record<string, string>
  /** Schema of the body. It is only documentation where the mailer validates the body. */
  body?: z.ZodType
  /** Media type of the body. @default 'application/json' */
  bodyType?: 'text/csv'
  /** The successful response. A string as content is the media type of a response that isn't JSON. */
  answer: { status: number; description: string; content?: z.ZodType | string }
  /** HTTP statuses of possible problems, in addition to those that every operation has. */
  problems: readonly number[]
}

const ofMessage = (action: string, summary: string) =>
  ({
    method: 'post',
    path: `/messages/{id}/${action}`,
    scope: 'manage',
    summary,
    answer: { status: 200, description: 'The changed message.', content: Message },
    problems: [404, 409, 415, 503],
  }) as const satisfies Operation

export const OPERATIONS = {
  sendMessage: {
    method: 'post',
    path: '/messages',
    scope: 'send',
    summary: 'Send a mail',
    headers: {
      'Idempotency-Key':
        'Mails with the same key become one message. Can be used in place of `idempotencyKey`.',
    },
    body: Mail,
    answer: { status: 202, description: 'The queue has stored the message.', content: Receipt },
    problems: [400, 409, 413, 415, 503],
  },
  sendMessages: {
    method: 'post',
    path: '/messages/batch',
    scope: 'send',
    summary: 'Send many mails; the result of a mail that was not accepted is a problem',
    body: Batch,
    answer: { status: 202, description: 'A result for each mail, in order.', content: BatchResults },
    problems: [400, 413, 415, 503],
  },
  listMessages: {
    method: 'get',
    path: '/messages',
    scope: 'read',
    summary: 'List messages, newest first',
    query: ListParameters,
    answer: { status: 200, description: 'A page of messages.', content: MessagePage },
    problems: [400, 501, 503],
  },
  findMessage: {
    method: 'get',
    path: '/messages/{id}',
    scope: 'read',
    summary: 'Get a message and its outcome',
    answer: { status: 200, description: 'The message.', content: Message },
    problems: [404, 503],
  },
  retryMessage: ofMessage('retry', 'Requeue a message, or send a deferred one immediately'),
  cancelMessage: ofMessage('cancel', 'Cancel a message'),
  markMessageSent: ofMessage('mark-sent', 'Settle a held or deferred message that is known to have arrived'),
  eraseAddress: {
    method: 'post',
    path: '/erase',
    scope: 'manage',
    summary: 'Erase the address of a recipient from all messages',
    body: EraseRequest,
    answer: { status: 200, description: 'What was erased.', content: Erasure },
    problems: [400, 413, 415, 503],
  },
  listSuppressions: {
    method: 'get',
    path: '/suppressions',
    scope: 'read',
    summary: 'List the addresses that get no more mail',
    query: ListSuppressions,
    answer: { status: 200, description: 'A page of entries.', content: SuppressionPage },
    problems: [400, 503],
  },
  addSuppression: {
    method: 'post',
    path: '/suppressions',
    scope: 'manage',
    summary: 'Add an address that gets no more mail',
    body: SuppressionInput,
    answer: { status: 201, description: 'The stored entry.', content: Suppression },
    problems: [400, 413, 415, 503],
  },
  removeSuppression: {
    method: 'delete',
    path: '/suppressions',
    scope: 'manage',
    summary: 'Remove the entries of an address',
    query: RemoveSuppression,
    answer: { status: 204, description: 'The entries were removed.' },
    problems: [400, 404, 503],
  },
  exportSuppressions: {
    method: 'get',
    path: '/suppressions.csv',
    scope: 'read',
    summary: 'Get the list of suppressed addresses as CSV',
    answer: { status: 200, description: 'A header line, and a line for each entry.', content: 'text/csv' },
    problems: [503],
  },
  importSuppressions: {
    method: 'post',
    path: '/suppressions.csv',
    scope: 'manage',
    summary: 'Add the addresses of a CSV file, whose first line names its columns',
    body: z.string(),
    bodyType: 'text/csv',
    answer: { status: 200, description: 'How many entries were added.', content: ImportResult },
    problems: [400, 413, 415, 503],
  },
  listWebhooks: {
    method: 'get',
    path: '/webhooks',
    scope: 'read',
    summary: "List the endpoints that receive the mailer's events",
    answer: { status: 200, description: 'The endpoints, with their last failures.', content: WebhookList },
    problems: [503],
  },
  redeliverWebhook: {
    method: 'post',
    path: '/webhooks/{id}/redeliver',
    scope: 'manage',
    summary: 'Send the failed events of an endpoint again, and enable it if it is disabled',
    body: Redelivery,
    answer: { status: 200, description: 'The number of events.', content: Redelivered },
    problems: [400, 404, 413, 415, 503],
  },
  listSchedules: {
    method: 'get',
    path: '/schedules',
    scope: 'read',
    summary: 'List the recurring mails',
    answer: { status: 200, description: 'The schedules of all processes.', content: Schedules },
    problems: [503],
  },
  removeSchedule: {
    method: 'delete',
    path: '/schedules/{name}',
    scope: 'manage',
    summary: 'Remove a schedule',
    answer: { status: 204, description: 'The schedule was removed.' },
    problems: [404, 503],
  },
  listTemplates: {
    method: 'get',
    path: '/templates',
    scope: 'read',
    summary: 'List the templates',
    answer: { status: 200, description: 'The templates, as their files are now.', content: Templates },
    problems: [503],
  },
  renderTemplate: {
    method: 'post',
    path: '/templates/{name}/render',
    scope: 'read',
    summary: 'Render a template with data',
    body: RenderRequest,
    answer: { status: 200, description: 'The rendered parts.', content: RenderedParts },
    problems: [400, 413, 415, 503],
  },
  readStats: {
    method: 'get',
    path: '/stats',
    scope: 'read',
    summary: 'Get statistics of the mailer',
    answer: { status: 200, description: 'The current statistics.', content: Stats },
    problems: [503],
  },
  readMetrics: {
    method: 'get',
    path: '/metrics',
    scope: 'read',
    summary: 'Get the statistics in the Prometheus format',
    answer: { status: 200, description: 'Metrics in the Prometheus text format.', content: 'text/plain' },
    problems: [503],
  },
  readDocument: {
    method: 'get',
    path: '/openapi.json',
    scope: 'read',
    summary: 'Get this document',
    answer: { status: 200, description: 'OpenAPI 3.1.', content: z.looseObject({ openapi: z.string() }) },
    problems: [],
  },
  isAlive: {
    method: 'get',
    path: '/healthz',
    summary: 'Check whether the process responds',
    answer: { status: 200, description: 'The process responds.', content: Health },
    problems: [],
  },
  isReady: {
    method: 'get',
    path: '/readyz',
    summary: 'Check whether mail can be sent',
    answer: { status: 200, description: 'Mail can be sent.', content: Health },
    problems: [503],
  },
  readSession: {
    method: 'get',
    path: '/session',
    summary: 'Get the scopes of the session',
    answer: { status: 200, description: 'The scopes; empty without a session.', content: Session },
    problems: [],
  },
  login: {
    method: 'post',
    path: '/login',
    summary: 'Start a session with a token',
    body: LoginRequest,
    answer: { status: 200, description: 'The session cookie is set.', content: LoggedIn },
    problems: [400, 401, 403, 413, 415, 429],
  },
  logout: {
    method: 'post',
    path: '/logout',
    summary: 'End the session',
    answer: { status: 204, description: 'The session cookie is removed.' },
    problems: [403, 415],
  },
} as const satisfies Record<string, Operation>

export type OperationName = keyof typeof OPERATIONS
