import { execFile } from 'node:child_process'
import { realpath } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { explain } from 'threadpost'
import { expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox, subjectsOf, testSender } from '../support/mailer.js'
import { usePostgres } from '../support/postgres.js'
import { describeWith } from '../support/tools.js'

const MAIL = { to: 'ada@example.com', subject: 'Hello', text: 'Hello' }

describeWith(['postgres'], 'mail that is submitted in SQL', ({ postgres: tool }) => {
  const postgres = usePostgres(tool)
  const templates = {
    'welcome.mjml': '<mjml><mj-head><mj-title>Hi {{name}}</mj-title></mj-head><mj-body></mj-body></mjml>',
  }

  async function submit(schema: string, mail: object): Promise<string> {
    const [row] = await postgres.query<{ id: string }>(`SELECT ${schema}.send($1::jsonb) AS id`, [
      JSON.stringify(mail),
    ])
    return row?.id ?? ''
  }

  it('is checked, rendered and sent by a delivering process', async () => {
    const queue = postgres.place()
    const { mailer, inbox } = await mailerWithInbox({ queue, templates: await folderOf(templates) })
    const attachments = [
      { filename: 'a.txt', content: Buffer.from('Zürich').toString('base64'), encoding: 'base64' },
    ]
    const id = await submit(queue.schema, {
      to: ['Ada <ada@example.com>', { address: 'grace@example.com' }],
      template: 'welcome',
      data: { name: 'Ada' },
      attachments,
      metadata: { order: 7 },
    })
    expect(await mailer.wait(id)).toMatchObject({
      id,
      messageId: `<${id}@acme.example>`,
      status: 'sent',
      recipients: [{ address: 'ada@example.com' }, { address: 'grace@example.com' }],
      metadata: { order: 7 },
    })
    expect(subjectsOf(inbox)[0]).toBe('Hi Ada')
    expect(await mailer.stats()).toMatchObject({ accepted: 1, sent: 1, queued: 0, sending: 0 })
  })

  it('can be found before it is checked, and is part of its transaction', async () => {
    const queue = postgres.place()
    const mailer = await testSender({ queue })
    const id = await submit(queue.schema, { ...MAIL, to: 'Ada <ada@example.com>' })
    expect(await mailer.find(id)).toMatchObject({
      status: 'queued',
      subject: 'Hello',
      recipients: [{ address: 'ada@example.com' }],
    })
    await expect(
      postgres.query(
        `DO $$ BEGIN PERFORM ${queue.schema}.send('{"to": "a@b.example"}'); RAISE 'no stock'; END $$`,
      ),
    ).rejects.toThrow('no stock')
    expect((await mailer.stats()).accepted).toBe(1)
  })

  it('fails with the code with which send() refuses it', async () => {
    const queue = postgres.place()
    const { mailer } = await mailerWithInbox({ queue, templates: await folderOf(templates) })
    const failures = {
      INVALID_MESSAGE: { ...MAIL, to: 'nobody' },
      UNKNOWN_TEMPLATE: { to: 'ada@example.com', template: 'goodbye' },
      MISSING_DATA: { to: 'ada@example.com', template: 'welcome', data: {} },
    }
    for (const [code, mail] of Object.entries(failures)) {
      const id = await submit(queue.schema, mail)
      expect(await mailer.wait(id)).toMatchObject({ status: 'failed', attempts: [{ code }] })
    }
    const huge = await submit(queue.schema, { ...MAIL, priority: 1e30 })
    expect(await mailer.wait(huge)).toMatchObject({
      status: 'failed',
      attempts: [{ code: 'INVALID_MESSAGE' }],
    })
    for (const none of ['a text', 5, [MAIL], null])
      await expect(submit(queue.schema, none as object)).rejects.toThrow('mail: must be an object')
  })

  it('is accepted once per idempotency key, in SQL and in JavaScript', async () => {
    const queue = postgres.place()
    const { mailer, inbox } = await mailerWithInbox({ queue })
    const mail = { ...MAIL, idempotencyKey: 'order "1"\n'.trim() }
    const id = await submit(queue.schema, mail)
    expect(await submit(queue.schema, mail)).toBe(id)
    expect((await mailer.wait(id)).status).toBe('sent')
    expect(await mailer.send(mail)).toMatchObject({ id, messageId: `<${id}@acme.example>`, duplicate: true })
    await expect(submit(queue.schema, { ...mail, subject: 'Other' })).rejects.toThrow('IDEMPOTENCY_CONFLICT')
    await expect(submit(queue.schema, { subject: 'Hello' })).rejects.toThrow('no recipient')
    const { id: second } = await mailer.sendAndWait({ ...MAIL, idempotencyKey: 'order 2' })
    expect(await submit(queue.schema, { ...MAIL, idempotencyKey: 'order 2' })).toBe(second)
    expect(inbox.count).toBe(2)
  })

  it('waits while an interceptor fails, and is checked again later', async () => {
    const queue = postgres.place()
    let works = false
    let calls = 0
    const { mailer, inbox } = await mailerWithInbox({
      queue,
      intercept: () => {
        calls++
        if (!works) throw new Error('canary-8d21')
        return undefined
      },
    })
    const id = await submit(queue.schema, { ...MAIL, to: ['Ada <ada@example.com>', 'bob@example.com'] })
    await expect
      .poll(async () => (await mailer.find(id))?.status, { interval: 5, timeout: 60_000 })
      .toBe('deferred')
    const waiting = await mailer.find(id)
    expect(waiting).toMatchObject({ attempts: [{ counted: false, code: 'SETUP_FAILED' }] })
    expect(waiting?.nextAttemptAt).toBeDefined()
    expect(JSON.stringify(waiting)).not.toContain('canary')
    expect(calls).toBeGreaterThan(0)
    works = true
    expect(await mailer.wait(id)).toMatchObject({ status: 'sent', attempts: [{ code: 'OK' }] })
    expect(inbox.count).toBe(1)
  })

  it('is not checked once it has expired', async () => {
    const queue = postgres.place()
    let calls = 0
    const { mailer, inbox } = await mailerWithInbox({
      queue,
      intercept: () => {
        calls++
        return undefined
      },
    })
    await mailer.pause()
    const id = await submit(queue.schema, MAIL)
    await postgres.query(`UPDATE ${queue.schema}.states SET expires_at = 1`)
    await mailer.resume()
    expect((await mailer.wait(id)).status).toBe('expired')
    expect([calls, inbox.count]).toEqual([0, 0])
  })

  it('is not sent a second time if the message of an encrypted queue that has its key is not known to SQL', async () => {
    const queue = { ...postgres.place(), encryption: { keys: [Buffer.alloc(32, 1).toString('base64')] } }
    const { mailer, inbox } = await mailerWithInbox({ queue })
    const keyed = { ...MAIL, idempotencyKey: 'order-7' }
    const first = await mailer.send(keyed)
    const same = await mailer.wait(await submit(queue.schema, keyed))
    expect(same).toMatchObject({ status: 'cancelled', recipients: [{ status: 'cancelled' }] })
    expect(explain(same)).toContain(`message ${first.id} has its idempotencyKey`)
    const other = { ...MAIL, text: 'Other', idempotencyKey: 'order-8' }
    await mailer.send({ ...other, text: 'First' })
    expect(await mailer.wait(await submit(queue.schema, other))).toMatchObject({
      status: 'failed',
      attempts: [{ code: 'INVALID_MESSAGE' }],
    })
    const unused = { ...MAIL, idempotencyKey: 'order-9' }
    const sent = await submit(queue.schema, unused)
    expect((await mailer.wait(sent)).status).toBe('sent')
    expect(await mailer.send(unused)).toMatchObject({ id: sent, duplicate: true })
    expect(inbox.count).toBe(3)
  })

  it('cannot take the key of a scheduled mail', async () => {
    const queue = postgres.place()
    await testSender({ queue })
    for (const idempotencyKey of ['\u0001schedule:report', 'a\u007f', 'a\n'])
      await expect(submit(queue.schema, { ...MAIL, idempotencyKey })).rejects.toThrow('control character')
  })

  it('is read by functions that no search path of a caller changes', async () => {
    const queue = postgres.place()
    const mailer = await testSender({ queue })
    const functions = await postgres.query<{ name: string; path: string | null }>(
      `SELECT proname AS name, proconfig::text AS path FROM pg_proc WHERE pronamespace = $1::regnamespace`,
      [queue.schema],
    )
    expect(functions.map(({ name }) => name)).toContain('send')
    for (const { path: set } of functions) expect(set).toMatch(/^\{"search_path=pg_catalog, pg_temp"[,}]/)
    const id = await submit(queue.schema, { ...MAIL, to: 'Ada <ada@example.com> \t' })
    expect((await mailer.find(id))?.recipients).toMatchObject([{ address: 'ada@example.com' }])
  })

  it('has its delay, priority and expiry', async () => {
    const queue = postgres.place()
    const { mailer } = await mailerWithInbox({ queue })
    const id = await submit(queue.schema, { ...MAIL, delay: 600_000, priority: 9 })
    await expect.poll(async () => (await mailer.find(id))?.nextAttemptAt).toBeDefined()
    expect(await mailer.find(id)).toMatchObject({ status: 'queued', priority: 9 })
  })
})

describeWith(
  ['postgres', 'python3-psycopg'],
  'mail from other languages',
  ({ postgres: tool, 'python3-psycopg': python }) => {
    const postgres = usePostgres(tool)
    const run = promisify(execFile)

    it('goes out from psql and from psycopg, if their transaction commits', async () => {
      const queue = postgres.place()
      const { mailer, inbox } = await mailerWithInbox({ queue })
      const psql = path.join(path.dirname(await realpath(tool.command)), 'psql')
      const send = (subject: string) =>
        `SELECT ${queue.schema}.send('${JSON.stringify({ ...MAIL, subject })}');`
      const script = `BEGIN; ${send('From psql')} COMMIT; BEGIN; ${send('Never')} ROLLBACK;`
      await run(psql, ['-qAt', '-c', script, postgres.url], { env: { ...process.env, ...tool.env } })
      const program = `
import json, sys, psycopg
url, function = sys.argv[1:]
mail = {'to': 'ada@example.com', 'subject': 'From Python', 'text': 'Hello'}
with psycopg.connect(url) as connection:
    with connection.transaction():
        print(connection.execute('SELECT ' + function + '(%s::jsonb)', [json.dumps(mail)]).fetchone()[0])
    try:
        with connection.transaction():
            connection.execute('SELECT ' + function + '(%s::jsonb)', [json.dumps({**mail, 'subject': 'Never'})])
            raise ValueError('no stock')
    except ValueError:
        pass
`
      const args = [...python.args, '-c', program, postgres.url, `${queue.schema}.send`]
      const { stdout } = await run(python.command, args, { env: { ...process.env, ...python.env } })
      expect((await mailer.wait(stdout.trim())).status).toBe('sent')
      await expect.poll(() => inbox.count).toBe(2)
      expect(subjectsOf(inbox).toSorted()).toEqual(['From Python', 'From psql'])
    })
  },
)
