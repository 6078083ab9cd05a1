import { once } from 'node:events'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { loadedScripts } from '../support/loadedScripts.js'
import { mailerWithInbox, testInbox, testMailer, testSender } from '../support/mailer.js'
import { startRedis, useRedis } from '../support/redis.js'
import { describeWith } from '../support/tools.js'
import { startWorker } from '../support/worker.js'

/** Accepts a mail as a web process does, and reports the resources that keep the process alive. */
const SENDER = `
const { createMailer } = await import('threadpost')
const mailer = await createMailer({ role: 'send', from: 'a@b.example', queue: process.argv[2] })
await mailer.send({ to: 'x@y.example', subject: 'Hello', text: 'Hello' })
const { threads } = await mailer.stats()
result = { threads, alive: process.getActiveResourcesInfo() }
await mailer.close()
`
/** Scripts of the renderer. A sender needs nodemailer's address parser, and no more of nodemailer. */
const RENDERER =
  /node_modules\/(?:mjml|mjml-[a-z-]+|handlebars|html-to-text|nodemailer\/(?!.*addressparser))[/.]?/

/** A module that makes a package impossible to import, as if it were not installed. */
const without = (name: string): string => {
  const hooks = `export async function resolve(specifier, context, next) {
    if (specifier === '${name}') throw new Error("Cannot find package '${name}'")
    return next(specifier, context)
  }`
  const asUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`
  return asUrl(`import { register } from 'node:module'; register(${JSON.stringify(asUrl(hooks))})`)
}

function mailOf(n: number) {
  return { to: `user${n}@example.com`, subject: `Mail ${n}`, text: `Number ${n}` }
}

describeWith(['redis-server'], 'roles on Redis', ({ 'redis-server': tool }) => {
  const redis = useRedis(tool)

  const client = (): Redis => {
    const connection = new Redis(redis.url)
    onTestFinished(() => connection.disconnect())
    return connection
  }

  it('a sender starts no threads and loads no renderer', async () => {
    const { result, scripts } = await loadedScripts({ code: SENDER, args: [redis.url] })
    const { threads, alive } = result as Record<'threads' | 'alive', string[]>
    expect(threads).toEqual([])
    expect(alive.filter((resource) => /Worker|MessagePort/.test(resource))).toEqual([])
    expect(scripts.filter((url) => RENDERER.test(url))).toEqual([])
    expect(scripts.some((url) => url.includes('/bullmq/'))).toBe(true)
  })

  it.each(['bullmq', 'ioredis'])(
    'without the package %s, the error names the packages to install',
    async (name) => {
      const flags = ['--import', without(name)]
      const failed = loadedScripts({ code: SENDER, args: [redis.url], flags })
      const { stderr } = (await failed.catch((error: unknown) => error)) as { stderr: string }
      expect(stderr).toContain('START_FAILED')
      expect(stderr).toContain('npm install bullmq ioredis')
    },
  )

  it('a worker that gets SIGTERM finishes the deliveries that it has started, and leaves the other messages to the next worker', async () => {
    const inbox = await testInbox({ keep: 200, faults: [{ at: 'dot', do: 'delay', ms: 1_000 }] })
    const queue = redis.place()
    const flags = ['--transport', inbox.url, '--queue', queue.url, '--prefix', queue.prefix]
    const worker = await startWorker(flags)
    const mailer = await testSender({ queue })
    await mailer.sendMany(Array.from({ length: 60 }, (_, n) => mailOf(n)))
    await expect.poll(async () => (await mailer.stats()).sending).toBeGreaterThan(5)
    worker.process.kill('SIGTERM')
    expect(await once(worker.process, 'exit')).toEqual([0, null])
    const { sent, queued, sending, deferred } = await mailer.stats()
    expect([sending, deferred]).toEqual([0, 0])
    expect(sent).toBe(inbox.count)
    expect(queued).toBe(60 - sent)
    expect(queued).toBeGreaterThan(0)

    await startWorker(flags)
    await expect.poll(async () => (await mailer.stats()).sent).toBe(60)
    expect(inbox.count).toBe(60)
    for await (const message of mailer.messages()) expect(message.uncertain).toBe(false)
  })

  it('a sender can find, list, count, retry and cancel the messages that other processes failed to deliver', async () => {
    const queue = redis.place()
    const { inbox } = await mailerWithInbox({ role: 'deliver', queue })
    inbox.faults.set([{ at: 'rcpt', do: 'refuse', to: 'user1*' }])
    const mailer = await testSender({ queue })
    const receipts = await mailer.sendMany(Array.from({ length: 12 }, (_, n) => mailOf(n)))
    const ids = receipts.map((receipt) => (receipt as { id: string }).id)
    await Promise.all(ids.map((id) => mailer.wait(id)))
    const { messages } = await mailer.list({ status: 'failed' })
    expect(messages.map(({ id }) => id)).toEqual([ids[11], ids[10], ids[1]])
    expect((await mailer.list({ q: ids[10] ?? '' })).messages).toMatchObject([{ status: 'failed' }])
    expect(await mailer.stats()).toMatchObject({ accepted: 12, sent: 9, failed: 3 })

    inbox.faults.clear()
    expect(await mailer.retryAll({ status: 'failed' })).toBe(3)
    await expect.poll(async () => (await mailer.stats()).sent).toBe(12)
    expect(await mailer.wait(ids[1] ?? '')).toMatchObject({ status: 'sent', attempts: [{}, {}] })
    const { id } = await mailer.send({ ...mailOf(0), delay: 60_000 })
    expect(await mailer.cancel(id)).toMatchObject({ status: 'cancelled' })
    expect(await mailer.wait(id)).toMatchObject({ status: 'cancelled' })
  })

  it('no key in Redis contains the password of a transport', async () => {
    const queue = redis.place()
    const transport = { url: 'smtp://ada:s3cret@127.0.0.1:1', requireTLS: false }
    const mailer = await testMailer({ transport, queue })
    await mailer.send({ ...mailOf(1), metadata: { secret: 'the-mail-itself' } })
    await expect.poll(async () => (await mailer.stats()).held).toBe(1)
    const connection = client()
    const all: string[] = []
    for (const key of await connection.keys('*')) {
      const dump = await connection.dumpBuffer(key)
      all.push(key, dump?.toString('latin1') ?? '')
    }
    expect(all.join()).toContain('the-mail-itself')
    expect(all.join()).not.toContain('s3cret')
  })

  it('messages that are accepted together share their commands to Redis', async () => {
    const queue = redis.place()
    const { mailer: deliverer } = await mailerWithInbox({ role: 'deliver', queue })
    const mailer = await testSender({ queue })
    const connection = client()
    const count = 400
    // Events, because looking into the queue would be commands, too.
    let sent = 0
    deliverer.on('sent', () => sent++)
    await connection.config('RESETSTAT')
    await mailer.sendMany(Array.from({ length: count }, (_, n) => mailOf(n)))
    await expect.poll(() => sent).toBe(count)
    const processed = /total_commands_processed:(\d+)/.exec(await connection.info('stats'))?.[1]
    expect(Number(processed) / count).toBeLessThan(20)
  })

  it.each([
    ['maxmemory-policy', 'allkeys-lru', 'accepted mail may be lost. Set maxmemory-policy noeviction'],
    ['appendonly', 'no', 'Set appendonly yes'],
    ['appendfsync', 'no', 'Set appendfsync everysec or always'],
  ])('a mailer warns at the start about the setting %s %s', async (setting, value, warning) => {
    const settings = { appendonly: 'yes', 'maxmemory-policy': 'noeviction', [setting]: value }
    const other = await startRedis(
      tool,
      Object.entries(settings).flatMap(([name, its]) => [`--${name}`, its]),
    )
    onTestFinished(() => other.close())
    const logged: string[] = []
    const warn = (_: object, message: string): void => void logged.push(message)
    const logger = { debug: () => {}, info: () => {}, warn, error: () => {} }
    await testSender({ queue: other.url, logger })
    await expect.poll(() => logged).toHaveLength(1)
    expect(logged[0]).toContain(warning)
  })
})
