import { type Mailer, type PreparedMail, ThreadpostError } from 'threadpost'
import { expect, it } from 'vitest'
import { copiesByMessageId } from '../support/copies.js'
import { endProcess, startFleetWorker } from '../support/fleet.js'
import { testInbox, testSender } from '../support/mailer.js'
import { usePostgres } from '../support/postgres.js'
import { describeWith } from '../support/tools.js'

/** At full length, Postgres dies 20 times, and a worker 100 times. */
const ROUNDS = Number(process.env['POSTGRES_ROUNDS'] ?? 3)
const WORKER_ROUNDS = Number(process.env['POSTGRES_WORKER_ROUNDS'] ?? 1)
const MAILS = 60
/** Bounds a hang. */
const timeout = (rounds: number): number => 600_000 + rounds * 60_000

/** Sends a prepared mail until the queue has it: again, as the same message, if it is unknown whether it was accepted. */
async function sendUntilAccepted(mailer: Mailer, mail: PreparedMail): Promise<void> {
  for (;;) {
    try {
      await mailer.send(mail)
      return
    } catch (error) {
      if (!(error instanceof ThreadpostError) || error.code !== 'QUEUE_UNAVAILABLE') throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

/** Waits until all are sent, and checks that none is lost and each that arrived twice is marked. */
async function expectNoneLost(
  mailer: Mailer,
  inbox: Parameters<typeof copiesByMessageId>[0],
  mails: PreparedMail[],
) {
  await expect
    .poll(() => mailer.stats().catch(() => undefined), { interval: 250, timeout: 240_000 })
    .toMatchObject({ sent: mails.length, accepted: mails.length })
  const copies = copiesByMessageId(inbox)
  const twice = [...copies.values()].filter((arrived) => arrived > 1).length
  console.log(`${mails.length} messages: ${copies.size} arrived, ${twice} of them more than once`)
  for (const { id, messageId } of mails) {
    const arrived = copies.get(messageId) ?? 0
    expect(arrived, messageId).toBeGreaterThan(0)
    if (arrived > 1) expect((await mailer.find(id))?.uncertain, messageId).toBe(true)
  }
}

describeWith(['postgres'], 'crashes', ({ postgres: tool }) => {
  const postgres = usePostgres(tool, { fsync: 'on' })

  const start = async () => {
    const queue = postgres.place()
    const inbox = await testInbox({ keep: 100_000 })
    const mailer = await testSender({ queue, retain: { count: 100_000 } })
    const worker = () =>
      startFleetWorker({
        role: 'deliver',
        queue,
        transport: inbox.url,
        retain: { count: 100_000 },
        // A message may be in flight at many of the deaths, and each of them is an attempt that may have sent it.
        retry: { baseDelay: 20, factor: 1, attempts: 100 },
      })
    const mails: PreparedMail[] = []
    const sendSome = async (): Promise<void> => {
      const some = Array.from({ length: MAILS }, (_, n) =>
        mailer.prepare({ to: 'ada@example.com', subject: `Mail ${mails.length + n}`, text: 'Hello' }),
      )
      mails.push(...some)
      for (const mail of some) await sendUntilAccepted(mailer, mail)
    }
    return { inbox, mailer, worker, mails, sendSome }
  }

  it(
    `of Postgres lose no accepted message, and each that is sent twice is marked: ${ROUNDS} rounds`,
    async () => {
      const { inbox, mailer, worker, mails, sendSome } = await start()
      await worker()
      for (let round = 0; round < ROUNDS; round++) {
        const before = inbox.count
        const sending = sendSome()
        await expect.poll(() => inbox.count, { interval: 5 }).toBeGreaterThan(before)
        await postgres.stop('SIGKILL')
        await postgres.start()
        await sending
      }
      await expectNoneLost(mailer, inbox, mails)
    },
    timeout(ROUNDS),
  )

  it(
    `of a worker lose no message, and each that is sent twice is marked: ${WORKER_ROUNDS} rounds`,
    async () => {
      const { inbox, mailer, worker, mails, sendSome } = await start()
      for (let round = 0; round < WORKER_ROUNDS; round++) {
        const child = await worker()
        const before = inbox.count
        const sending = sendSome()
        await expect.poll(() => inbox.count, { interval: 5 }).toBeGreaterThan(before + 10)
        await endProcess(child)
        await sending
      }
      await worker()
      await expectNoneLost(mailer, inbox, mails)
    },
    timeout(WORKER_ROUNDS),
  )
})
