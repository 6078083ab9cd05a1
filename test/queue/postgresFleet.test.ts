import { execFile } from 'node:child_process'
import { connect, createServer, type Socket } from 'node:net'
import { promisify } from 'node:util'
import { createMailer, type Logger } from 'threadpost'
import { expect, it, onTestFinished } from 'vitest'
import { endProcess, startFleetWorker } from '../support/fleet.js'
import { testFleet } from '../support/fleetSuite.js'
import { join, listenOnLoopback } from '../support/loopback.js'
import { mailerWithInbox, testInbox, testMailer, testSender } from '../support/mailer.js'
import { startPostgres, usePostgres } from '../support/postgres.js'
import { environment, main } from '../support/serve.js'
import { describeWith } from '../support/tools.js'

const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello' }
const run = promisify(execFile)

/** An address whose connections go to one server or another, as those of a name or a proxy in front of a cluster. */
async function startSwitch(first: number): Promise<{ port: number; switchTo: (port: number) => void }> {
  let target = first
  const clients = new Set<Socket>()
  const port = await listenOnLoopback(
    createServer((client) => {
      clients.add(client)
      join(client, connect(target, '127.0.0.1'))
    }),
  )
  return {
    port,
    switchTo(next) {
      target = next
      for (const client of clients) client.destroy()
    },
  }
}

describeWith(['postgres'], 'processes that share a queue on Postgres', ({ postgres: tool }) => {
  const postgres = usePostgres(tool)

  testFleet(() => postgres.place())

  it('without notifications, as behind a pooler, messages are delivered and waited for all the same', async () => {
    const queue = { ...postgres.place(), listen: false }
    const mailer = await testSender({ queue })
    const { inbox } = await mailerWithInbox({ role: 'deliver', queue })
    expect((await mailer.sendAndWait(MAIL)).status).toBe('sent')
    expect(inbox.count).toBe(1)
  })

  it('the messages of a process that died are taken over, and those that it was sending are marked as uncertain', async () => {
    const queue = postgres.place()
    const slow = await testInbox({ keep: 100, faults: [{ at: 'dot', do: 'delay', ms: 600_000 }] })
    const mailer = await testSender({ queue })
    const receipts = await mailer.sendMany(Array.from({ length: 30 }, () => MAIL))
    const ids = receipts.map((receipt) => (receipt as { id: string }).id)
    const dying = await startFleetWorker({ role: 'deliver', queue, transport: slow.url })
    await expect.poll(async () => (await mailer.stats()).sending).toBeGreaterThan(5)
    await endProcess(dying)
    const { inbox } = await mailerWithInbox(
      { role: 'deliver', queue, retry: { baseDelay: 20 } },
      { keep: 100 },
    )
    const messages = await Promise.all(ids.map((id) => mailer.wait(id)))
    expect(messages.map(({ status }) => status)).toEqual(ids.map(() => 'sent'))
    expect(inbox.count).toBe(30)
    const uncertain = messages.filter((message) => message.uncertain).length
    expect(uncertain).toBeGreaterThan(5)
    expect(uncertain).toBeLessThan(30)
  }, 120_000)

  it('a process that only sends adds up the counts, so that they stay few without a delivering process', async () => {
    const queue = postgres.place()
    const mailer = await testSender({ queue })
    for (let nth = 0; nth < 120; nth++) await mailer.send(MAIL)
    await expect
      .poll(async () => {
        await mailer.send(MAIL)
        const [row] = await postgres.query<{ rows: number }>(
          `SELECT count(*)::integer AS rows FROM ${queue.schema}.counts`,
        )
        return row?.rows
      })
      .toBeLessThan(100)
    const { accepted, queued } = await mailer.stats()
    expect(accepted).toBe(queued)
    expect(accepted).toBeGreaterThan(120)
  }, 120_000)

  it('while Postgres is down, mail is refused at once, and everything continues by itself when it is back', async () => {
    const own = await startPostgres(tool)
    onTestFinished(() => own.close())
    const logged: string[] = []
    const log = (_: object, message: string): void => void logged.push(message)
    const logger: Logger = { debug: () => undefined, info: log, warn: log, error: log }
    const { mailer, inbox } = await mailerWithInbox({ queue: { url: own.url }, logger })
    expect((await mailer.sendAndWait(MAIL)).status).toBe('sent')
    await own.stop()
    await expect(mailer.send(MAIL)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
    await expect(mailer.find('0192e4a0-0000-7000-8000-000000000000')).rejects.toMatchObject({
      code: 'QUEUE_UNAVAILABLE',
    })
    await own.start()
    await expect
      .poll(() =>
        mailer.send(MAIL).then(
          ({ status }) => status,
          () => 'refused',
        ),
      )
      .toBe('queued')
    await expect.poll(() => inbox.count).toBe(2)
    expect(logged.filter((line) => line === 'Postgres is unavailable')).toHaveLength(1)
    expect(logged.join()).toContain('does not write through')
  }, 60_000)

  it('when a standby is promoted, mail is accepted again and delivered, and nothing that was accepted is lost', async () => {
    const primary = await startPostgres(tool)
    onTestFinished(() => primary.close())
    const standby = await startPostgres(tool, undefined, primary)
    onTestFinished(() => standby.close())
    // A commit waits until the standby has it, and mail that was accepted is on both.
    await primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
    await primary.query('SELECT pg_reload_conf()')
    const address = await startSwitch(primary.port)
    const queue = { url: primary.url.replace(`:${primary.port}/`, `:${address.port}/`) }
    const { mailer, inbox } = await mailerWithInbox({ queue }, { keep: 100 })
    const sender = await testSender({ queue })
    expect((await sender.sendAndWait(MAIL)).status).toBe('sent')
    await mailer.pause()
    const { id } = await sender.send(MAIL)

    await primary.stop('SIGKILL')
    await expect(sender.send(MAIL)).rejects.toMatchObject({ code: 'QUEUE_UNAVAILABLE' })
    address.switchTo(standby.port)
    // A standby answers, but it refuses to write.
    await expect
      .poll(() => sender.send(MAIL).catch((error: unknown) => String(error)))
      .toContain('read-only transaction')
    expect(await sender.find(id)).toMatchObject({ status: 'held', heldReason: 'paused' })
    await standby.query('SELECT pg_promote()')

    await expect
      .poll(() =>
        sender.send(MAIL).then(
          () => 'accepted',
          () => 'refused',
        ),
      )
      .toBe('accepted')
    await mailer.resume()
    expect(await sender.wait(id)).toMatchObject({ status: 'sent', uncertain: false })
    await expect.poll(async () => (await sender.stats()).sent).toBe(3)
    expect(inbox.count).toBe(3)
  }, 120_000)

  it('the command migrates, prints the same script, and a mailer that may not migrate says what to do', async () => {
    const { url, schema } = postgres.place()
    const queue = { url, schema, migrate: false }
    await expect(createMailer({ role: 'send', queue })).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining('threadpost migrate') as string,
    })
    const flags = ['migrate', '--queue', url, '--schema', schema]
    const { stdout: first } = await run(process.execPath, [main, ...flags], { env: environment })
    expect(first).toContain('applied: ')
    const { stdout: again } = await run(process.execPath, [main, ...flags], { env: environment })
    expect(again).toBe('the tables are up to date\n')
    await testSender({ queue })

    const other = postgres.place()
    const args = [main, 'migrate', '--print', '--queue', other.url, '--schema', other.schema]
    const { stdout: script } = await run(process.execPath, args, { env: environment })
    await postgres.query(script)
    await testSender({ queue: { ...other, migrate: false } })
    await expect(run(process.execPath, [main, 'migrate', '--queue', 'memory'])).rejects.toMatchObject({
      stderr: expect.stringContaining('only a queue on Postgres') as string,
    })
  })

  it('processes that start at once on an empty database wait for one another', async () => {
    const queue = postgres.place()
    const mailers = await Promise.all([1, 2, 3, 4].map(() => testSender({ queue })))
    await Promise.all(mailers.map((mailer) => mailer.send(MAIL)))
    expect((await mailers[0]?.stats())?.accepted).toBe(4)
  })

  it('a role with the documented rights is enough to send and to deliver', async () => {
    const queue = postgres.place()
    await testSender({ queue })
    const role = `app_${queue.schema}`
    await postgres.query(`CREATE ROLE ${role} LOGIN;
      GRANT USAGE ON SCHEMA ${queue.schema} TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${queue.schema} TO ${role};
      GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${queue.schema} TO ${role};`)
    const url = queue.url.replace('postgres@', `${role}@`)
    const { mailer } = await mailerWithInbox({ queue: { ...queue, url, migrate: false } })
    expect((await mailer.sendAndWait(MAIL)).status).toBe('sent')
    await mailer.pause()
    await mailer.resume()
  })

  it('an error about the connection never shows the password', async () => {
    const url = postgres.url.replace('postgres@', 'nobody:s3cret@')
    const failed: unknown = await testMailer({ role: 'send', queue: { ...postgres.place(), url } }).catch(
      (error: unknown) => error,
    )
    expect(failed).toMatchObject({ code: 'START_FAILED' })
    expect(String(failed)).not.toContain('s3cret')
  })
})
