import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import nodemailer from 'nodemailer'
import { describe, expect, it, onTestFinished } from 'vitest'
import { folderOf } from '../support/folder.js'
import { ACME, ADA } from '../support/intake.js'
import { testInbox, testMailer } from '../support/mailer.js'

/** Times that the process is killed; INTAKE_KILLS=20 for a long run. */
const KILLS = Number(process.env['INTAKE_KILLS'] ?? 3)
const MESSAGES = KILLS * 100
const CLIENTS = 4

describe('a process with an SMTP intake that is killed', () => {
  it('delivers every message that got a 250, and recognizes one that its client sends again', async () => {
    const inbox = await testInbox({ keep: 3 * MESSAGES })
    const file = path.join(await folderOf({}), 'outbox.db')
    let child: ChildProcess
    let port: Promise<number>
    const start = (): void => {
      child = fork(path.resolve(import.meta.dirname, '../support/smtpReceiver.mjs'), [file, inbox.url])
      port = once(child, 'message').then(([message]) => message as number)
    }
    start()
    onTestFinished(() => void child.kill('SIGKILL'))

    let next = 0
    let accepted = 0
    let again = 0
    const client = async (): Promise<void> => {
      for (let n = next++; n < MESSAGES; n = next++) {
        const raw = `From: ${ACME}\r\nTo: ${ADA}\r\nSubject: ${n}\r\nMessage-ID: <${n}@acme.example>\r\n\r\nHello.\r\n`
        for (;;) {
          const transport = nodemailer.createTransport({
            host: '127.0.0.1',
            port: await port,
            ignoreTLS: true,
          })
          try {
            await transport.sendMail({ raw, envelope: { from: ACME, to: ADA } })
            accepted++
            break
          } catch {
            again++
            await new Promise((resolve) => setTimeout(resolve, 20))
          }
        }
      }
    }
    const clients = Promise.all(Array.from({ length: CLIENTS }, client))
    for (let kill = 1; kill <= KILLS; kill++) {
      await expect.poll(() => accepted, { interval: 5 }).toBeGreaterThan((kill - 0.5) * 100)
      const gone = once(child!, 'exit')
      child!.kill('SIGKILL')
      await gone
      start()
    }
    await clients
    expect(again).toBeGreaterThan(0)
    const subjects = async () => new Set((await inbox.messages()).map(({ subject }) => subject))
    await expect.poll(async () => (await subjects()).size).toBe(MESSAGES)
    const sender = await testMailer({ role: 'send', queue: `sqlite:${file}` })
    expect(await sender.count({})).toMatchObject({ count: MESSAGES })
    if (process.env['INTAKE_KILLS'] !== undefined)
      console.log(
        `${MESSAGES} messages, ${KILLS} kills: ${again} sent again by clients, ${inbox.count} received`,
      )
  })
})
