import path from 'node:path'
import type { Router } from 'express'
import { mailRouter } from 'threadpost/express'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Answer, api, json, MAIL } from '../support/api.js'
import { mailerWithInbox } from '../support/mailer.js'
import { freePort } from '../support/ports.js'
import { SECRET } from '../support/webhookReceiver.js'

type Schema = Record<string, unknown>
interface OperationObject {
  operationId: string
  requestBody?: { content: Record<string, { schema: Schema }> }
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>
  'x-scope'?: string
}
interface Document {
  openapi: string
  paths: Record<string, Record<string, OperationObject>>
  components: { schemas: Record<string, Schema> }
}

const auth = {
  tokens: [
    { token: 'token-with-all-scopes', scopes: ['send', 'read', 'manage', 'templates'] as const },
    { token: 'token-without-scopes', scopes: [] },
  ],
}
const bearer = { authorization: 'Bearer token-with-all-scopes' }
const templates = path.join(import.meta.dirname, '../../templates')

const app = async () => {
  const it = await api(
    { auth, bodyLimit: 5_000 },
    {
      templates,
      limits: { queue: 3 },
      retry: { baseDelay: 60_000 },
      // Nothing listens there: each event is given up at once.
      webhooks: [{ url: `http://127.0.0.1:${await freePort()}`, secret: SECRET, maxAge: 0 }],
    },
  )
  const document = (await it.call('/openapi.json', { headers: bearer })).body as Document
  return { ...it, document }
}

const operationsOf = ({ paths }: Document) =>
  Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
  )

/** Everything within that is an object. */
function* objectsIn(value: unknown): Generator<Schema> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) yield value as Schema
  for (const inner of Object.values(value)) yield* objectsIn(inner)
}

/** Reads a schema of the document; what it doesn't name is refused, so that a field that it leaves out is noticed. */
function strict(document: Document, schema: Schema): z.ZodType {
  const bundle = structuredClone({ ...schema, $defs: document.components.schemas })
  for (const object of objectsIn(bundle)) {
    if (typeof object['$ref'] === 'string')
      object['$ref'] = object['$ref'].replace('#/components/schemas/', '#/$defs/')
    if (object['type'] === 'object' && 'properties' in object) object['additionalProperties'] ??= false
  }
  return z.fromJSONSchema(bundle)
}

describe('the OpenAPI document', () => {
  test('is OpenAPI 3.1, and all its references resolve', async () => {
    const { document } = await app()
    expect(document.openapi).toBe('3.1.0')
    const known = Object.keys(document.components.schemas)
    const references = [...objectsIn(document)].flatMap(({ $ref }) =>
      typeof $ref === 'string' ? [$ref] : [],
    )
    expect(references.length).toBeGreaterThan(20)
    for (const reference of references) {
      expect(reference).toMatch(/^#\/components\/schemas\/\w+$/)
      expect(known).toContain(reference.split('/').at(-1))
    }
    const used = new Set(references.map((reference) => reference.split('/').at(-1)))
    expect(known.filter((name) => !used.has(name))).toEqual([])
    const ids = operationsOf(document).map(({ operationId }) => operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { path, ...operation } of operationsOf(document)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
      const named = ((operation as { parameters?: { in: string; name: string }[] }).parameters ?? []).filter(
        (parameter) => parameter.in === 'path',
      )
      expect(named.map(({ name }) => name)).toEqual(inPath)
    }
  })

  test('lists every route of the router, and no other', async () => {
    const { document, call } = await app()
    const { mailer } = await mailerWithInbox({ threads: 0 })
    const served = (mailRouter(mailer, { auth: false }) as unknown as Router).stack.flatMap(({ route }) =>
      (route?.stack ?? []).flatMap(({ method }) =>
        // Without a method it is what answers to all others.
        (method as string | undefined) === undefined ? [] : [`${method} ${route?.path}`],
      ),
    )
    const told = operationsOf(document).map(
      ({ method, path }) => `${method} ${path.replace(/\{(\w+)\}/g, ':$1')}`,
    )
    expect(told.sort()).toEqual([...new Set(served)].sort())
    for (const operation of operationsOf(document)) {
      const url = operation.path.replace(/\{\w+\}/g, 'x')
      const { status } = await call(url, { method: operation.method.toUpperCase() })
      if (operation['x-scope'] !== undefined) expect([url, status]).toEqual([url, 401])
      else expect([url, status]).not.toEqual([url, 401])
    }
  })
})

test('every response matches the OpenAPI document', async () => {
  const { document, call, mailer, inbox } = await app()
  const operations = operationsOf(document)
  const seen = new Set<string>()
  const ask = async (name: string, init: RequestInit = {}, fill: Record<string, string> = {}, query = '') => {
    const operation = operations.find(({ operationId }) => operationId === name)
    if (operation === undefined) throw new Error(`no operation ${name}`)
    const url = operation.path.replace(/\{(\w+)\}/g, (_, key: string) => fill[key] ?? '')
    const answer = await call(url + query, {
      ...init,
      method: operation.method.toUpperCase(),
      headers: { ...bearer, ...(init.headers as Record<string, string>) },
    })
    checkAnswer(operation, answer)
    return answer
  }
  const checkAnswer = (operation: OperationObject, { status, headers, body }: Answer) => {
    const what = `${operation.operationId} ${status} ${JSON.stringify(body)}`
    const told = operation.responses[status]
    expect(told, what).toBeDefined()
    seen.add(`${operation.operationId} ${status}`)
    const [type, content] = Object.entries(told?.content ?? {})[0] ?? []
    if (type === undefined || content === undefined) {
      expect(body).toBe('')
      return
    }
    expect(headers.get('content-type')?.split(';')[0], what).toBe(type)
    const result = strict(document, content.schema).safeParse(body)
    expect(result.error?.issues ?? [], what).toEqual([])
  }

  // A message of each kind of ending.
  const full = {
    ...MAIL,
    cc: 'Grace <grace@example.com>',
    tags: ['a'],
    metadata: { order: 7 },
    attachments: [{ filename: 'a.txt', content: 'aGk=', encoding: 'base64' }],
  }
  const { body: sent } = await ask('sendMessage', json(full))
  await mailer.wait(sent.id)
  inbox.faults.set([
    { at: 'rcpt', to: 'grace@example.com', do: 'refuse', reply: '550 5.1.1 No such user', times: 1 },
  ])
  const partial = await mailer.sendAndWait(full as Parameters<typeof mailer.send>[0])
  expect(partial.status).toBe('partial')
  await ask('findMessage', {}, { id: partial.id })
  inbox.faults.set([{ at: 'rcpt', do: 'defer', reply: '451 4.7.1 Greylisted' }])
  const { body: welcome } = await ask(
    'sendMessage',
    json({
      template: 'welcome',
      to: 'ada@example.com',
      data: { name: 'Ada', url: 'https://x.example', company: 'X' },
    }),
  )
  await expect.poll(async () => (await mailer.find(welcome.id))?.status).toBe('deferred')
  await ask('findMessage', {}, { id: welcome.id })
  await ask('findMessage', {}, { id: sent.id })
  await ask('findMessage', {}, { id: 'x' })
  await ask('listMessages')
  await ask('listMessages', {}, {}, '?limit=1')
  await ask('listMessages', {}, {}, '?limit=0')
  await ask('retryMessage', {}, { id: sent.id })
  await ask('retryMessage', {}, { id: welcome.id })
  await expect.poll(async () => (await mailer.find(welcome.id))?.status).toBe('deferred')
  await ask('markMessageSent', {}, { id: welcome.id })
  await ask('eraseAddress', json({ address: 'grace@example.com' }))
  await ask('eraseAddress', json({ address: 'grace' }))
  await ask('findMessage', {}, { id: partial.id })
  inbox.faults.clear()
  const { body: later } = await ask('sendMessage', json({ ...MAIL, delay: 60_000 }))
  await ask('cancelMessage', {}, { id: later.id })
  await ask('cancelMessage', {}, { id: later.id })
  await ask('cancelMessage', {}, { id: 'x' })
  await ask('cancelMessage', { headers: { 'content-type': 'text/plain' }, body: 'x' }, { id: later.id })
  await ask('sendMessages', json({ messages: [MAIL, { ...MAIL, to: 'x' }] }))
  await ask('sendMessages', json({ messages: [] }))
  const entry = { address: 'eve@example.com', reason: 'manual', stream: 'news', detail: 'asked' }
  await ask('addSuppression', json({ ...entry, expiresAt: Date.now() + 60_000 }))
  await ask('addSuppression', json({ address: 'eve', reason: 'manual' }))
  await ask('listSuppressions', {}, {}, '?limit=1')
  await ask('listSuppressions', {}, {}, '?limit=0')
  await ask('exportSuppressions')
  const csv = { headers: { 'content-type': 'text/csv' } }
  await ask('importSuppressions', { ...csv, body: 'address\nmallory@example.com\nmallory' })
  await ask('importSuppressions', { ...csv, body: 'name' })
  await ask('sendMessage', json({ ...MAIL, to: 'mallory@example.com' })).then(({ body }) =>
    mailer.wait(body.id),
  )
  await ask('listMessages', {}, {}, '?recipient=mallory@example.com')
  await ask('removeSuppression', {}, {}, '?address=eve@example.com&stream=news')
  await ask('removeSuppression', {}, {}, '?address=eve@example.com')
  await ask('removeSuppression')
  const failures = async () => ((await mailer.webhooks?.list()) ?? []).flatMap((webhook) => webhook.failures)
  await expect.poll(failures, { timeout: 60_000 }).not.toEqual([])
  const { body: hooks } = await ask('listWebhooks')
  await ask('redeliverWebhook', json({}), { id: hooks.webhooks[0].id })
  await ask('redeliverWebhook', json({ event: 1 }), { id: hooks.webhooks[0].id })
  await ask('redeliverWebhook', json({}), { id: 'x' })
  await mailer.schedule('daily', { cron: '0 0 * * *', mail: MAIL })
  await ask('listSchedules')
  await ask('removeSchedule', {}, { name: 'daily' })
  await ask('removeSchedule', {}, { name: 'daily' })
  await ask('listTemplates')
  await ask('renderTemplate', json({ data: { name: 'Ada', url: 'https://x.example', company: 'X' } }), {
    name: 'welcome',
  })
  await ask('renderTemplate', json({}), { name: 'welcome' })
  await ask('readStats')
  await ask('readMetrics')
  await ask('readDocument')
  await ask('isAlive')
  await ask('isReady')
  await ask('readSession')
  await ask('login', json({ token: 'token-with-all-scopes' }))
  await ask('login', json({ token: 'token-without-scopes' }))
  await ask('login', json({ token: 'wrong' }))
  await ask('logout')
  for (const { operationId, 'x-scope': scope } of operations)
    if (scope !== undefined)
      await ask(operationId, { headers: { authorization: 'Bearer token-without-scopes' } }, { name: 'x' })
  await ask('sendMessage', json({ ...MAIL, text: 'x'.repeat(6_000) }))
  await ask('sendMessage', { headers: { 'content-type': 'text/plain' }, body: 'x' })
  await ask('sendMessage', json({ ...MAIL, idempotencyKey: 'a', delay: 60_000 }))
  await ask('sendMessage', json({ ...MAIL, idempotencyKey: 'a', subject: 'other' }))
  for (let count = 0; count < 4; count++) await ask('sendMessage', json({ ...MAIL, delay: 60_000 }))
  expect(seen).toContain('sendMessage 503')
  await mailer.close({ deadline: 0 })
  await ask('isReady')
  await ask('readStats')
  for (let count = 0; count < 22; count++)
    await ask('readStats', { headers: { authorization: `Bearer ${count}` } })
  expect(seen).toContain('readStats 429')

  const successes = operations.map(
    ({ operationId, responses }) => `${operationId} ${Object.keys(responses)[0]}`,
  )
  expect(successes.filter((success) => !seen.has(success))).toEqual([])
})
