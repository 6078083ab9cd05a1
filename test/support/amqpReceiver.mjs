// A process that consumes a queue of RabbitMQ into a SQLite file, and can be killed: node amqpReceiver.mjs URL QUEUE FILE SMTP_URL
import { createMailer } from '../../dist/src/index.js'
import { amqpIntake } from '../../dist/src/intake/index.js'

const [url, queue, file, transport] = process.argv.slice(2)
const mailer = await createMailer({
  transport,
  queue: `sqlite:${file}`,
  threads: 0,
  retry: { baseDelay: 20, factor: 1, jitter: 'none' },
})
await amqpIntake(mailer, { url, queue, maxDelay: 200 })
process.send('ready')
