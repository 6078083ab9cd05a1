import path from 'node:path'
import Sqlite from 'better-sqlite3'
import { expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { testInbox, testMailer } from '../support/mailer.js'
import { SenderProcess } from '../support/senderProcess.js'

/** Two deaths in company, three alone. */
const DEATHS = 5

it('gives up a message that ends the whole process time and again, and delivers all others once', async () => {
  const folder = await folderOf({
    // Unlike process.exit() in a thread, it takes the process with it.
    'templates/helpers.js': `export function end() { process.kill(process.pid, 'SIGKILL'); for (;;); }`,
    'templates/poison.mjml': `<mjml><mj-head><mj-title>t</mj-title></mj-head><mj-body><mj-section><mj-column>
      <mj-text>{{end}}</mj-text></mj-column></mj-section></mj-body></mjml>`,
  })
  const file = path.join(folder, 'outbox.db')
  const templates = path.join(folder, 'templates')
  const inbox = await testInbox({ keep: 1_000 })

  const first = await testMailer({ transport: inbox.url, queue: `sqlite:${file}`, templates })
  await first.pause()
  const { id } = await first.send({ template: 'poison', to: 'poison@example.com' })
  for (let n = 0; n < 20; n++) await first.send({ to: `user${n}@example.com`, subject: 's', text: 't' })
  await first.close()
  const db = new Sqlite(file)
  onTestFinished(() => void db.close())
  db.exec('UPDATE tally SET paused = 0')

  const settled = db.prepare('SELECT count(*) AS count FROM message WHERE settled_at IS NOT NULL')
  let deaths = 0
  for (;;) {
    const sender = new SenderProcess({ file, url: inbox.url, options: { templates } })
    const all = expect.poll(() => settled.get()).toEqual({ count: 21 })
    const died = await Promise.race([sender.exited.then(() => true), all.then(() => false)])
    all.catch(() => undefined)
    if (!died) {
      await sender.end()
      break
    }
    deaths++
    expect(deaths).toBeLessThanOrEqual(DEATHS)
  }

  const last = await testMailer({ transport: inbox.url, queue: `sqlite:${file}`, templates })
  expect(deaths).toBe(DEATHS)
  expect(await last.find(id)).toMatchObject({ status: 'failed', attempts: [{ code: 'POISON' }] })
  expect(await last.stats()).toMatchObject({ accepted: 21, sent: 20, failed: 1 })
  const recipients = inbox.stored().map(({ envelope }) => envelope.to[0])
  expect(new Set(recipients).size).toBe(20)
}, 600_000)
