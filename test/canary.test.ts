import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { Writable } from 'node:stream'
import Sqlite from 'better-sqlite3'
import express from 'express'
import { pino } from 'pino'
import { explain } from 'threadpost'
import { mailRouter } from 'threadpost/express'
import { expect, it, onTestFinished } from 'vitest'
import { folderOf } from './support/folder.js'
import { testMailer } from './support/mailer.js'
import { ScriptedServer } from './support/scriptedServer.js'

const PASSWORD = 'canary-Passw0rd'
const AUTH = Buffer.from(`\0user\0${PASSWORD}`).toString('base64')
const API_TOKEN = 'canary-api-token'
const LINK = 'https://app.example/reset/canary0123456789abcdef?token=canary9876543210'
const CANARIES = [PASSWORD, Buffer.from(PASSWORD).toString('base64'), AUTH, API_TOKEN, 'canary']

const EVENTS = [
  'queued',
  'sending',
  'deferred',
  'held',
  'sent',
  'failed',
  'breaker-open',
  'breaker-closed',
] as const

/** A server that tells everybody what it was told: in refusals of the login, and of what a mail holds. */
async function gossip(): Promise<ScriptedServer> {
  let refused = false
  return ScriptedServer.start({
    extensions: ['PIPELINING', 'AUTH PLAIN'],
    auth: (line) => {
      if (refused) return '235 2.7.0 welcome'
      refused = true
      return `535 5.7.8 cannot accept "${line}", that is user:${PASSWORD}`
    },
    dot: (_line, { turn, messages }) =>
      messages[turn - 1]?.data.includes('spam') === true
        ? `554 5.7.1 blocked: it links to ${LINK}`
        : '250 2.0.0 taken',
  })
}

/** All there is in the file but what messages say themselves, as text. */
function textOf(file: string): string {
  const db = new Sqlite(file, { readonly: true })
  onTestFinished(() => void db.close())
  const tables = db.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).pluck().all() as string[]
  expect(tables).toContain('content')
  const rows = tables
    .filter((table) => table !== 'content' && table !== 'attachment')
    .map((table) => db.prepare(`SELECT * FROM "${table}"`).all())
  return JSON.stringify(rows, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value,
  )
}

it('a password, a token, AUTH and a reset link are nowhere but where they belong', async () => {
  const server = await gossip()
  const seen: string[] = []
  const keep = (what: unknown) => void seen.push(typeof what === 'string' ? what : JSON.stringify(what))
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      keep(chunk.toString())
      done()
    },
  })
  const page = (title: string, body: string) =>
    `<mjml><mj-head><mj-title>${title}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>${body}</mj-text></mj-column></mj-section></mj-body></mjml>`
  const folder = await folderOf({
    'reset.mjml': page('Reset', '<a href="{{url}}">{{note}}</a>'),
    'broken.mjml': page('Broken', '{{parse url}}'),
    'helpers.js': 'export const parse = (url) => { throw new Error("cannot parse " + url) }',
  })
  const file = path.join(await folderOf({}), 'outbox.db')
  const mailer = await testMailer({
    transport: {
      url: `smtp://user:${PASSWORD}@127.0.0.1:${server.port}`,
      requireTLS: false,
    },
    templates: folder,
    queue: `sqlite:${file}`,
    breaker: { probeDelay: 20 },
    logger: pino({ level: 'debug' }, stream),
  })
  for (const name of EVENTS) mailer.on(name, (event: object) => keep({ name, event }))
  const troubled = new Promise((resolve) => mailer.once('breaker-open', resolve))

  const app = express()
    .use(
      '/mail',
      mailRouter(mailer, { auth: { tokens: [{ token: API_TOKEN, scopes: ['send', 'read', 'manage'] }] } }),
    )
    .listen(0, '127.0.0.1')
  await once(app, 'listening')
  onTestFinished(() => {
    app.closeAllConnections()
    app.close()
  })
  const api = async (route: string, init: RequestInit = {}) => {
    const url = `http://127.0.0.1:${(app.address() as AddressInfo).port}/mail${route}`
    const headers = { authorization: `Bearer ${API_TOKEN}`, 'content-type': 'application/json' }
    const response = await fetch(url, { ...init, headers })
    const text = await response.text()
    keep(text)
    return { status: response.status, text }
  }
  const send = async (template: string, note: string) => {
    const body = JSON.stringify({ template, to: 'ada@example.com', data: { url: LINK, note } })
    const { status, text } = await api('/messages', { method: 'POST', body })
    expect(status).toBe(202)
    return (JSON.parse(text) as { id: string }).id
  }
  const sent = await send('reset', 'Reset your password')
  await troubled
  keep(await mailer.stats())
  await api('/stats')
  const refused = await send('reset', 'spam')
  const broken = await send('broken', '')
  const ends = await Promise.all([sent, refused, broken].map((id) => mailer.wait(id)))
  expect(ends.map(({ status }) => status)).toEqual(['sent', 'failed', 'failed'])
  for (const end of ends) keep([end, explain(end)])
  keep((await mailer.list()).messages)
  await api('/messages')
  for (const id of [sent, refused, broken]) await api(`/messages/${id}`)
  expect((await api('/metrics')).status).toBe(200)
  await api('/messages', { method: 'POST', body: '{ "template": "reset", "data": { "url": "canary" ' })
  expect(
    (await api('/templates/broken/render', { method: 'POST', body: JSON.stringify({ data: { url: LINK } }) }))
      .text,
  ).toContain('TEMPLATE_ERROR')
  keep(await mailer.verify())
  keep(textOf(file))

  // What must be told is told, so that nothing is silent for want of trying.
  const all = seen.join('\n')
  for (const told of [
    '535',
    '5.7.8',
    '554',
    'blocked: it links to https://app.example/',
    'cannot parse',
    'breaker-open',
  ])
    expect(all).toContain(told)
  expect(server.messages.map(({ data }) => data).join('')).toContain('canary')
  for (const canary of CANARIES)
    expect(seen.filter((text) => text.toLowerCase().includes(canary.toLowerCase()))).toEqual([])
})
