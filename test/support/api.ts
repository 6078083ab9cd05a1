import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import express from 'express'
import type { Mailer, MailerOptions } from 'threadpost'
import { mailRouter, type MailRouterOptions } from 'threadpost/express'
import type { Inbox } from 'threadpost/testing'
import { onTestFinished } from 'vitest'
import { mailerWithInbox } from './mailer.js'

export interface Answer {
  status: number
  headers: Headers
  /** Parsed, where it is JSON. */
  body: ReturnType<typeof JSON.parse>
}

export interface Api {
  mailer: Mailer
  inbox: Inbox
  /** Where the router is mounted. */
  base: string
  call(path: string, init?: RequestInit): Promise<Answer>
  post(body: unknown, headers?: Record<string, string>): Promise<Answer>
}

export const MAIL = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

/** Serves an app on a free port until the test ends. @returns its URL */
export async function listen(app: RequestListener): Promise<string> {
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

export async function callAt(url: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(url, { redirect: 'manual', ...init })
  const text = await response.text()
  const json = response.headers.get('content-type')?.includes('json') === true
  return { status: response.status, headers: response.headers, body: json ? JSON.parse(text) : text }
}

export function json(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  }
}

/** The router under a path of an app, over a mailer that sends to an inbox. */
export async function api(
  options: Partial<MailRouterOptions> = {},
  mailerOptions: Partial<MailerOptions> = {},
): Promise<Api> {
  const { mailer, inbox } = await mailerWithInbox({ threads: 0, limits: { queue: 20 }, ...mailerOptions })
  const app = express().use('/v1/mail', mailRouter(mailer, { auth: false, ...options }))
  const base = `${await listen(app)}/v1/mail`
  const call: Api['call'] = (path, init) => callAt(base + path, init)
  return { mailer, inbox, base, call, post: (body, headers) => call('/messages', json(body, headers)) }
}
