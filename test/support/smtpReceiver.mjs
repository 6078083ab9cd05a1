// A process that accepts mail over SMTP into a SQLite file and relays it, and can be killed: node smtpReceiver.mjs FILE SMTP_URL
import { createMailer } from '../../dist/src/index.js'
import { smtpIntake } from '../../dist/src/intake/index.js'

const [file, transport] = process.argv.slice(2)
const mailer = await createMailer({
  transport,
  queue: `sqlite:${file}`,
  threads: 0,
  retry: { baseDelay: 20, factor: 1, jitter: 'none' },
})
const { port } = await smtpIntake(mailer, { port: 0, deduplicate: 'message-id' })
process.send(port)
