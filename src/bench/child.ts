/** One measured run, in a process of its own: `node child.js JSON`. Prints a {@link Measurement} as JSON. */
import { createMailer } from '../createMailer.js'
import type { Mailer } from '../mailer.js'
import { measure } from './measure.js'
import type { RunOrder } from './runs.js'

/** So many stand in the queue at a time: enough to keep the threads busy, too few to be a memory test. */
const WINDOW = 500
/** So many are handed over at once: as a busy server would, and not as one long block of work. */
const STEP = 20
const WARM_UP = 20

const order = JSON.parse(process.argv[2] ?? '') as RunOrder
const mailer = await createMailer({
  transport: order.transport,
  from: 'Bench <bench@bench.example>',
  templates: order.templates,
  threads: order.threads,
})
await sendAll(mailer, WARM_UP)
const measurement = await measure(order.messages, () => sendAll(mailer, order.messages))
await mailer.close()
process.stdout.write(JSON.stringify(measurement))

async function sendAll(mailer: Mailer, messages: number): Promise<void> {
  let left = messages
  let waiting = 0
  let failed: string | undefined
  await new Promise<void>((resolve) => {
    const settled = (): void => {
      waiting--
      if (waiting === 0 && left === 0) resolve()
      else if (waiting <= WINDOW - STEP) fill(STEP)
    }
    const fill = (most: number): void => {
      const batch = Math.min(left, most)
      left -= batch
      waiting += batch
      const mails = Array.from({ length: batch }, (_, index) => ({
        to: `user${left + index}@bench.example`,
        template: order.template,
        data: order.data,
      }))
      void mailer.sendMany(mails)
    }
    mailer.on('sent', settled)
    mailer.on('failed', (event) => {
      failed = event.outcome.message
      settled()
    })
    fill(WINDOW)
  })
  if (failed !== undefined) throw new Error(`a message failed: ${failed}`)
}
