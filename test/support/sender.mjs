// A process that sends mail through a queue that outlives it, to be killed at any moment. Its argument is JSON:
// { file, url, count, callers, first, threads, concurrency, sqlite, mail, context }. Each receipt is a line "r ID MESSAGE-ID", written before
// anything else happens; "ready", "all" and "deferred N" tell how far it got. A line of input is one more
// message; it ends by itself when the input does.
import { writeSync } from 'node:fs'
import { createMailer } from '../../dist/src/index.js'

const order = JSON.parse(process.argv[2])
const {
  file,
  url,
  count = 0,
  callers = 20,
  first = 0,
  threads = 1,
  concurrency = 10,
  queue = {},
  mail = {},
} = order

const say = (line) => writeSync(1, `${line}\n`)
const mailer = await createMailer({
  transport: url,
  from: 'Acme <hello@acme.example>',
  queue: { url: `sqlite:${file}`, ...queue },
  threads,
  concurrency,
  retry: { baseDelay: 100, factor: 1, jitter: 'none', attempts: 50 },
  retain: { count: 1_000_000 },
  ...order.options,
  limits: { render: 60_000, ...order.options?.limits },
})
let deferred = 0
mailer.on('deferred', () => say(`deferred ${++deferred}`))
say('ready')

let next = first
const inContext = (run) => (order.context === undefined ? run() : mailer.runWithContext(order.context, run))
const caller = async () => {
  while (next < first + count) {
    const n = next++
    try {
      const { id, messageId } = await mailer.send({
        to: `user${n}@example.com`,
        subject: `Mail ${n}`,
        text: 'x'.repeat(200),
        idempotencyKey: `mail-${n}`,
        ...mail,
      })
      say(`r ${id} ${messageId}`)
    } catch (error) {
      say(`e ${error.code}`)
    }
  }
}
await inContext(() => Promise.all(Array.from({ length: callers }, caller)))
say('all')

process.stdin.on('data', async () => {
  try {
    const { id, messageId } = await mailer.send({ to: 'more@example.com', subject: 's', text: 't' })
    say(`r ${id} ${messageId}`)
  } catch (error) {
    say(`e ${error.code}`)
  }
})
process.stdin.on('end', async () => {
  await mailer.close({ deadline: order.deadline ?? 60_000 })
  say('closed')
})
