import { createMailer, type Logger } from 'threadpost'
import { expect, it } from 'vitest'
import { builtFile } from '../support/built.js'
import { testFleet } from '../support/fleetSuite.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, testInbox, testMailer, testSender } from '../support/mailer.js'
import { useRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'
import { startWorker } from '../support/worker.js'

const WELCOME = '<mjml><mj-head><mj-title>Hi {{name}}</mj-title></mj-head><mj-body></mj-body></mjml>'

describeWith(['redis-server'], 'processes that share a queue on Redis', ({ 'redis-server': tool }) => {
  const redis = useRedis(tool)

  testFleet(() => redis.place())

  it('a sender without templates leaves their checks to the worker, whatever the name of its first transport', async () => {
    const queue = redis.place()
    const inbox = await testInbox()
    const templates = await folderOf({ 'welcome.mjml': WELCOME })
    await testMailer({ role: 'deliver', queue, templates, transports: { tx: inbox.url } })
    const mailer = await testSender({ queue })
    const sent = await mailer.sendAndWait({ to: 'a@example.com', template: 'welcome', data: { name: 'Ada' } })
    expect(sent.status).toBe('sent')
    const missing = await mailer.sendAndWait({ to: 'a@example.com', template: 'welcome', data: {} })
    expect(missing).toMatchObject({ status: 'failed', attempts: [{ code: 'MISSING_DATA' }] })
    await expect(mailer.send({ to: 'a@example.com', template: 5 as never })).rejects.toMatchObject({
      code: 'INVALID_MESSAGE',
    })
  })

  it('a sender with compiled templates refuses unknown templates and missing data without a renderer', async () => {
    const queue = redis.place()
    const source = await folderOf({ 'welcome.mjml': WELCOME })
    const templates = await folderOf({})
    const { compileTemplates } = (await import(builtFile('src/templates/precompile.js'))) as {
      compileTemplates: (dir: string, options: { out: string }) => Promise<unknown>
    }
    await compileTemplates(source, { out: templates })
    const mailer = await testSender({ queue, templates })
    const to = 'ada@example.com'
    await expect(mailer.send({ to, template: 'goodbye' })).rejects.toMatchObject({ code: 'UNKNOWN_TEMPLATE' })
    await expect(mailer.send({ to, template: 'welcome' })).rejects.toMatchObject({ code: 'MISSING_DATA' })
    const { id } = await mailer.send({ to, template: 'welcome', data: { name: 'Ada' } })

    // The worker has another version of the template: it sends that one, and logs a warning.
    const logged: string[] = []
    const warn = (fields: object, message: string): void => void logged.push(message + JSON.stringify(fields))
    const logger: Logger = { debug: () => {}, info: () => {}, warn, error: () => {} }
    const other = await folderOf({ 'welcome.mjml': WELCOME.replace('Hi', 'Welcome') })
    const { inbox } = await mailerWithInbox({ role: 'deliver', queue, templates: other, logger })
    expect((await mailer.wait(id)).status).toBe('sent')
    expect((await inbox.waitFor({ to })).subject).toBe('Welcome Ada')
    expect(logged.join()).toContain('another version of its template')
    await expect(mailer.render('welcome', { name: 'Ada' })).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })

  it('a sender with a plain templates folder does so, too', async () => {
    const templates = await folderOf({ 'welcome.mjml': WELCOME })
    const mailer = await testSender({ queue: redis.place(), templates })
    const to = 'ada@example.com'
    await expect(mailer.send({ to, template: 'goodbye' })).rejects.toMatchObject({ code: 'UNKNOWN_TEMPLATE' })
    await expect(mailer.send({ to, template: 'welcome' })).rejects.toMatchObject({ code: 'MISSING_DATA' })
    expect(await mailer.send({ to, template: 'welcome', data: { name: 'Ada' } })).toMatchObject({
      status: 'queued',
    })
  })

  it('a mailer warns at the start about settings of Redis that may lose mail, and never logs the password', async () => {
    const logged: string[] = []
    const log = (_: object, message: string): void => void logged.push(message)
    const logger: Logger = { debug: log, info: log, warn: log, error: log }
    await testSender({ queue: redis.place(), logger })
    await expect.poll(() => logged.join()).toContain('append-only file')
    const url = redis.url.replace('127', ':s3cret@127')
    const refused = createMailer({ role: 'send', queue: { ...redis.place(), url }, logger })
    const error: unknown = await refused.then(
      (mailer) => mailer.close(),
      (reason: unknown) => reason,
    )
    expect(logged.join()).not.toContain('s3cret')
    expect(String(error)).not.toContain('s3cret')
  })

  it('a worker serves health, readiness and metrics, and refuses to start without a transport or a queue', async () => {
    const inbox = await testInbox()
    const { url, prefix } = redis.place()
    const flags = ['--transport', inbox.url, '--queue', url, '--prefix', prefix, '--port', '0']
    const { said: logged } = await startWorker(flags)
    await expect.poll(() => logged.join('\n')).toContain('/healthz')
    const base = /(http:\S+)\/healthz/.exec(logged.join('\n'))?.[1] ?? ''
    expect((await fetch(`${base}/healthz`)).status).toBe(200)
    expect((await fetch(`${base}/readyz`)).status).toBe(200)
    expect(await (await fetch(`${base}/metrics`)).text()).toContain('threadpost_up 1')
    expect((await fetch(`${base}/else`)).status).toBe(404)
    await expect(startWorker(['--queue', url])).rejects.toThrow(/transport: is required/)
    await expect(startWorker(['--transport', inbox.url])).rejects.toThrow(/needs a queue/)
  })
})
