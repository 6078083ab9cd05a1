import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { TransportInput } from 'threadpost'
import { expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { type Dialect, MailApi, SECRET, SENDGRID } from '../support/mailApi.js'
import { BREVO, MAILGUN, MAILJET, MSGRAPH, POSTMARK, RESEND } from '../support/mailServiceApis.js'
import { testMailer } from '../support/mailer.js'
import { ScriptedServer } from '../support/scriptedServer.js'
import { startTokenEndpoint } from '../support/tokenEndpoint.js'

/** Every kind of transport that has credentials, at a server that refuses and repeats them. */
async function transports(): Promise<Record<string, TransportInput>> {
  const refusing = async (dialect: Dialect): Promise<string> => {
    const api = await MailApi.start(dialect)
    api.mood = 'unauthorized'
    return api.url
  }
  const smtp = await ScriptedServer.start({
    extensions: ['AUTH PLAIN'],
    auth: () => `535 5.7.8 ${SECRET} is wrong`,
  })
  const tokens = await startTokenEndpoint()
  tokens.status = 401
  const graph = await refusing(MSGRAPH)
  return {
    smtp: { url: `smtp://127.0.0.1:${smtp.port}`, auth: { user: 'acme', pass: SECRET } },
    oauth2: {
      url: `smtp://127.0.0.1:${smtp.port}`,
      auth: { user: 'acme', clientId: 'c', clientSecret: SECRET, tokenEndpoint: tokens.url, scope: 's' },
    },
    sendgrid: { url: 'sendgrid:', apiKey: SECRET, endpoint: await refusing(SENDGRID) },
    postmark: { url: 'postmark:', token: SECRET, endpoint: await refusing(POSTMARK) },
    mailgun: {
      url: 'mailgun:',
      apiKey: SECRET,
      domain: 'mg.acme.example',
      endpoint: await refusing(MAILGUN),
    },
    resend: { url: 'resend:', apiKey: SECRET, endpoint: await refusing(RESEND) },
    brevo: { url: 'brevo:', apiKey: SECRET, endpoint: await refusing(BREVO) },
    mailjet: { url: 'mailjet:', apiKey: 'key', secretKey: SECRET, endpoint: await refusing(MAILJET) },
    msgraph: {
      url: 'msgraph:',
      tenantId: 't',
      clientId: 'c',
      clientSecret: SECRET,
      user: 'shop@acme.example',
      endpoint: graph,
      tokenEndpoint: `${graph}/tenant/oauth2/v2.0/token`,
    },
  }
}

it('no credential of any transport is in a log, an error, an event, a job, a list, or a figure', async () => {
  const known = await transports()
  const folder = await folderOf({})
  const told: unknown[] = []
  const log = (...line: unknown[]): void => void told.push(line)
  const mailer = await testMailer({
    transports: known,
    resolveTransport: (name) => {
      if (name === 'tenant:failing') throw new Error(`the database at user:${SECRET}@host is down`)
      const transport = known[name.slice('tenant:'.length)]
      return typeof transport === 'object' ? { ...transport, allowPrivateHosts: true } : transport
    },
    queue: `sqlite:${folder}/outbox.db`,
    logger: { debug: log, info: log, warn: log, error: log },
  })
  for (const name of ['held', 'deferred', 'failed', 'breaker-open'] as const)
    mailer.on(name, (event) => told.push(event))
  const names = [
    ...Object.keys(known),
    ...Object.keys(known).map((name) => `tenant:${name}`),
    'tenant:failing',
  ]
  const held = new Set<string>()
  const all = new Promise<void>((resolve) => {
    mailer.on('held', ({ transport }) => {
      held.add(transport)
      if (held.size === names.length) resolve()
    })
  })
  for (const transport of names)
    told.push(await mailer.send({ to: 'ada@example.com', subject: 'Hi', text: 'Hello', transport }))
  await all
  for (const name of Object.keys(known)) told.push(await mailer.verify(name))
  told.push(await mailer.list({ limit: 100 }), await mailer.stats())
  told.push(await mailer.monitoring.activity(), await mailer.monitoring.figures('transport'))
  for (const failing of [
    () => mailer.addTransport('new', `smtpp://acme:${SECRET}@mail.example`),
    () => mailer.addTransport('new', { url: 'mailgun:', apiKey: SECRET }),
    () => mailer.reload({ transports: { smtp: `sendgrid://${SECRET}@/path` } }),
    () => mailer.removeTransport(`no-${names.length}`),
  ])
    await failing().catch((error: unknown) => told.push((error as Error).message, (error as Error).stack))
  const files = readdirSync(folder).map((file) => readFileSync(path.join(folder, file), 'latin1'))
  const text = JSON.stringify(told)
  expect(text.length).toBeGreaterThan(10_000)
  expect(text).toContain('***')
  for (const secret of [SECRET, Buffer.from(SECRET).toString('base64')]) {
    expect(text).not.toContain(secret)
    expect(files.join('')).not.toContain(secret)
  }
})
