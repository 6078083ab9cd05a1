import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { describeBothWays } from './support/bothWays.js'
import { folderOf } from './support/folder.js'
import { mailerWithInbox, testMailer } from './support/mailer.js'

const WELCOME = `<mjml><mj-head><mj-title>Hello {{name}}</mj-title></mj-head><mj-body><mj-section><mj-column>
<mj-text>Dear {{name}}, <a href="{{url}}">welcome</a></mj-text></mj-column></mj-section></mj-body></mjml>`

const plain = { to: 'ada@example.com', subject: 'Hi', text: 'Hello' }

describeBothWays('what one asks of a mailer', (way) => {
  it('renders a template without sending', async () => {
    const templates = await folderOf({
      'welcome.mjml': WELCOME,
      'broken.mjml': '<mjml>\n  {{#if x}}\n</mjml>',
    })
    const mailer = await testMailer({ ...way({ templates }), transport: 'smtp://127.0.0.1:9' })
    const parts = await mailer.render('welcome', { name: 'Ada', url: 'https://a.example' })
    expect(parts.subject).toBe('Hello Ada')
    expect(parts.html).toContain('Dear Ada')
    const misspelled = { local: 'fr' } as object
    await expect(mailer.render('welcome', {}, misspelled)).rejects.toMatchObject({ path: 'local' })
    await expect(mailer.render('nowhere')).rejects.toMatchObject({ code: 'UNKNOWN_TEMPLATE' })
    await expect(mailer.render('welcome', {})).rejects.toMatchObject({
      code: 'MISSING_DATA',
      paths: ['name', 'url'],
    })
  })

  it('creates one message per idempotency key, and refuses different content with the same key', async () => {
    const { mailer, inbox } = await mailerWithInbox(way())
    const first = await mailer.send({ ...plain, idempotencyKey: 'order-1' })
    const again = await mailer.send({ ...plain, idempotencyKey: 'order-1' })
    expect(again).toEqual({ ...first, duplicate: true })
    await expect(mailer.send({ ...plain, text: 'other', idempotencyKey: 'order-1' })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_CONFLICT',
      path: 'idempotencyKey',
    })
    const prepared = JSON.parse(JSON.stringify(mailer.prepare(plain))) as ReturnType<typeof mailer.prepare>
    const receipt = await mailer.send(prepared)
    expect(receipt).toMatchObject({ id: prepared.id, messageId: prepared.messageId, duplicate: false })
    expect(await mailer.send(prepared)).toMatchObject({ id: prepared.id, duplicate: true })
    await Promise.all([first.id, prepared.id].map((id) => mailer.wait(id)))
    expect(inbox.count).toBe(2)
  })

  it('returns the results of sendMany in order, with errors in their places', async () => {
    const { mailer } = await mailerWithInbox(way({ limits: { queue: 2 } }))
    await mailer.pause()
    const answers = await mailer.sendMany([plain, { ...plain, to: 'nobody' }, plain, plain])
    expect(answers).toMatchObject([
      { status: 'queued' },
      { code: 'INVALID_MESSAGE', path: 'to' },
      { status: 'queued' },
      { code: 'QUEUE_FULL' },
    ])
    await mailer.resume()
    await Promise.all(answers.flatMap((answer) => ('id' in answer ? [mailer.wait(answer.id)] : [])))
  })

  it('calls listeners, and survives listeners that throw', async () => {
    const { mailer } = await mailerWithInbox(way())
    const warnings: string[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning.message)
    process.on('warning', onWarning)
    onTestFinished(() => void process.off('warning', onWarning))
    const seen: string[] = []
    for (const name of ['queued', 'sending', 'sent'] as const) {
      mailer.on(name, () => {
        throw new Error(`listener of ${name}`)
      })
      mailer.on(name, (event) => {
        expect(JSON.stringify(event)).not.toContain('Hello')
        seen.push(event.status)
      })
    }
    await mailer.sendAndWait(plain)
    expect(seen).toEqual(['queued', 'sending', 'sent'])
    await expect.poll(() => warnings.length).toBe(3)
  })

  it('waits no longer than the timeout, and not at all for an unknown message', async () => {
    const { mailer } = await mailerWithInbox(way(), { faults: [{ at: 'mail', do: 'silence' }] })
    const { id } = await mailer.send(plain)
    await expect(mailer.wait(id, { timeout: 10 })).rejects.toMatchObject({ code: 'WAIT_TIMEOUT' })
    await expect(mailer.wait(id, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    )
    await expect(mailer.wait('nobody', { timeout: 10 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    const waiting = mailer.wait(id)
    waiting.catch(() => undefined)
    await mailer.close({ deadline: 0 })
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(mailer.send(plain)).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('refuses a listener for an event that does not exist, and one that is no function', async () => {
    const { mailer } = await mailerWithInbox(way())
    for (const method of ['on', 'once', 'off'] as const) {
      expect(() => mailer[method]('delivred' as 'delivered', () => undefined)).toThrow(
        expect.objectContaining({
          code: 'INVALID_OPTIONS',
          path: 'event',
          message: expect.stringContaining("'delivered'"),
        }),
      )
      expect(() => mailer[method]('sent', undefined as never)).toThrow(
        expect.objectContaining({ path: 'listener' }),
      )
    }
  })

  it('refuses misspelled options of a wait, before anything is sent, and of a pause', async () => {
    const { mailer } = await mailerWithInbox(way())
    for (const [options, path] of [
      [{ timeuot: 5 }, 'timeuot'],
      [{ timeout: -1 }, 'timeout'],
      [{ until: 'opened' }, 'until'],
    ] as [object, string][])
      await expect(mailer.sendAndWait(plain, options)).rejects.toMatchObject({
        code: 'INVALID_OPTIONS',
        path,
      })
    expect((await mailer.list()).messages).toEqual([])
    const misspelled = { transports: 'default' } as object
    await expect(mailer.pause(misspelled)).rejects.toMatchObject({ path: 'transports' })
    expect((await mailer.stats()).paused).toBe(false)
  })

  it('keeps the content of a cancelled message for a retry', async () => {
    const { mailer, inbox } = await mailerWithInbox(way())
    const { id } = await mailer.send({ ...plain, delay: 60_000 })
    await mailer.cancel(id)
    await mailer.retry(id)
    await mailer.wait(id)
    expect((await inbox.waitFor()).text).toContain('Hello')
  })

  it('returns copies, so that modifying them changes no message', async () => {
    const { mailer, inbox } = await mailerWithInbox(way())
    await mailer.pause()
    const { id } = await mailer.send({ ...plain, tags: ['a'] })
    const message = await mailer.find(id)
    if (message?.to[0] !== undefined) message.to[0].address = 'evil@example.com'
    if (message !== undefined) message.from.address = 'evil@example.com'
    await mailer.resume()
    await mailer.wait(id)
    expect(inbox.stored()[0]?.envelope).toEqual({ from: 'hello@acme.example', to: ['ada@example.com'] })
  })

  it('keeps working if the logger throws', async () => {
    const broken = (): never => {
      throw new Error('no disk')
    }
    const onWarning = (): void => undefined
    process.on('warning', onWarning)
    onTestFinished(() => void process.off('warning', onWarning))
    const { mailer } = await mailerWithInbox(
      way({ concurrency: 1, logger: { debug: broken, info: broken, warn: broken, error: broken } }),
    )
    const messages = await Promise.all([mailer.sendAndWait(plain), mailer.sendAndWait(plain)])
    expect(messages.map(({ status }) => status)).toEqual(['sent', 'sent'])
  })

  it('refuses invalid queries', async () => {
    const { mailer } = await mailerWithInbox(way())
    await expect(mailer.list({ status: 'nope' } as never)).rejects.toMatchObject({ path: 'status' })
    await expect(mailer.list({ limit: 0 })).rejects.toMatchObject({ path: 'limit' })
    // It would send cancelled messages, too.
    await expect(mailer.retryAll({} as never)).rejects.toMatchObject({ path: 'status' })
    await expect(mailer.sendMany('x' as never)).rejects.toMatchObject({ code: 'INVALID_MESSAGE' })
    await expect(mailer.wait('x', { timeout: 2 ** 31 })).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path: 'timeout',
    })
    await expect(mailer.close({ deadline: -1 })).rejects.toMatchObject({
      code: 'INVALID_OPTIONS',
      path: 'deadline',
    })
    await expect(mailer.render(undefined as never)).rejects.toMatchObject({ path: 'template' })
  })
})

describe('starting a mailer', () => {
  it.each([
    ['a folder of templates that is not there', { templates: '/nonexistent/templates' }, /nonexistent/],
    ['a helper module that throws', { templates: 'HELPERS' }, /helpers/],
  ] as const)('fails readably with %s', async (_, options, message) => {
    const templates =
      options.templates === 'HELPERS'
        ? await folderOf({ 'helpers.js': 'throw new Error("broken helper")', 'a.mjml': WELCOME })
        : options.templates
    for (const threads of [0, 1]) {
      await expect(testMailer({ transport: 'smtp://127.0.0.1:9', templates, threads })).rejects.toThrow(
        expect.objectContaining({
          code: 'START_FAILED',
          message: expect.stringMatching(message) as string,
        }) as Error,
      )
    }
  })

  it('works with the embedded inbox', async () => {
    const mailer = await testMailer({ transport: 'inbox:' })
    await mailer.sendAndWait(plain)
    expect(mailer.inbox?.count).toBe(1)
  })
})

afterEach(() => {
  process.exitCode = 0
})
