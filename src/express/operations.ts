import { z } from 'zod'
import type { Scope } from '../web/middleware.js'
import { ListParameters } from '../web/requestSchema.js'
import { Mail, Receipt } from './schemas/mailSchema.js'
import { Message, MessagePage } from './schemas/messageSchema.js'
import {
  Batch,
  BatchResults,
  Health,
  LoggedIn,
  LoginRequest,
  RenderedParts,
  RenderRequest,
  Session,
  Stats,
  Templates,
} from './schemas/serviceSchema.js'

/** One thing that can be asked of the API: what the router serves and what the document says of it. */
export interface Operation {
  method: 'get' | 'post'
  /** As OpenAPI writes it: `/messages/{id}`. */
  path: string
  /** What a token needs for it; without, it is open. */
  scope?: Scope
  summary: string
  query?: z.ZodObject
  /** Request headers, beside the token. */
  headers?: Record<string, string>
  /** What the body is checked against, or documented by where the mailer checks it. */
  body?: z.ZodType
  /** The answer when all went well; a string is the media type of one that is not JSON. */
  answer: { status: number; description: string; content?: z.ZodType | string }
  /** Statuses of the problems it may answer with, besides those that every operation has. */
  problems: readonly number[]
}

const ofMessage = (action: string, summary: string) =>
  ({
    method: 'post',
    path: `/messages/{id}/${action}`,
    scope: 'manage',
    summary,
    answer: { status: 200, description: 'The message now.', content: Message },
    problems: [404, 409, 415, 503],
  }) as const satisfies Operation

export const OPERATIONS = {
  sendMessage: {
    method: 'post',
    path: '/messages',
    scope: 'send',
    summary: 'Send a mail',
    headers: {
      'Idempotency-Key': 'Two sends with the same key are one message; in place of `idempotencyKey`.',
    },
    body: Mail,
    answer: { status: 202, description: 'The queue has it.', content: Receipt },
    problems: [400, 409, 413, 415, 503],
  },
  sendMessages: {
    method: 'post',
    path: '/messages/batch',
    scope: 'send',
    summary: 'Send many mails; what is refused stands as a problem in its place',
    body: Batch,
    answer: { status: 202, description: 'A result for each, in order.', content: BatchResults },
    problems: [400, 413, 415, 503],
  },
  listMessages: {
    method: 'get',
    path: '/messages',
    scope: 'read',
    summary: 'List messages, newest first',
    query: ListParameters,
    answer: { status: 200, description: 'A page.', content: MessagePage },
    problems: [400, 501, 503],
  },
  findMessage: {
    method: 'get',
    path: '/messages/{id}',
    scope: 'read',
    summary: 'What became of a message',
    answer: { status: 200, description: 'The message.', content: Message },
    problems: [404, 503],
  },
  retryMessage: ofMessage('retry', 'Send a message again, or a deferred one at once'),
  cancelMessage: ofMessage('cancel', 'Take a message back'),
  markMessageSent: ofMessage(
    'mark-sent',
    'Settle a held or deferred message of which one knows that it arrived',
  ),
  listTemplates: {
    method: 'get',
    path: '/templates',
    scope: 'read',
    summary: 'List the templates',
    answer: { status: 200, description: 'As their files are now.', content: Templates },
    problems: [503],
  },
  renderTemplate: {
    method: 'post',
    path: '/templates/{name}/render',
    scope: 'read',
    summary: 'What a template gives with this data',
    body: RenderRequest,
    answer: { status: 200, description: 'Its parts.', content: RenderedParts },
    problems: [400, 413, 415, 503],
  },
  readStats: {
    method: 'get',
    path: '/stats',
    scope: 'read',
    summary: 'How the mailer fares',
    answer: { status: 200, description: 'At this moment.', content: Stats },
    problems: [503],
  },
  readMetrics: {
    method: 'get',
    path: '/metrics',
    scope: 'read',
    summary: 'The same for Prometheus',
    answer: { status: 200, description: 'In its text format.', content: 'text/plain' },
    problems: [503],
  },
  readDocument: {
    method: 'get',
    path: '/openapi.json',
    scope: 'read',
    summary: 'This document',
    answer: { status: 200, description: 'OpenAPI 3.1.', content: z.looseObject({ openapi: z.string() }) },
    problems: [],
  },
  isAlive: {
    method: 'get',
    path: '/healthz',
    summary: 'Whether the process answers',
    answer: { status: 200, description: 'It does.', content: Health },
    problems: [],
  },
  isReady: {
    method: 'get',
    path: '/readyz',
    summary: 'Whether mail can be sent',
    answer: { status: 200, description: 'It can.', content: Health },
    problems: [503],
  },
  readSession: {
    method: 'get',
    path: '/session',
    summary: 'What one may do',
    answer: { status: 200, description: 'The scopes; none without a login.', content: Session },
    problems: [],
  },
  login: {
    method: 'post',
    path: '/login',
    summary: 'Get the cookie of a session for a token',
    body: LoginRequest,
    answer: { status: 200, description: 'The cookie is set.', content: LoggedIn },
    problems: [400, 401, 403, 413, 415, 429],
  },
  logout: {
    method: 'post',
    path: '/logout',
    summary: 'End the session',
    answer: { status: 204, description: 'The cookie is gone.' },
    problems: [403, 415],
  },
} as const satisfies Record<string, Operation>

export type OperationName = keyof typeof OPERATIONS
