// Memory of the process while it sends mails with a large attachment at full rate:
//   node test/measure/measureAttachments.mjs [megabytes] [messages] [outstanding] [own] [rsa]
// So many mails are outstanding at a time. All have the same buffer attached, or, with `own`, each has bytes of its own. With
// `rsa` they are signed.
import { fork } from 'node:child_process'
import { generateKeyPairSync, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { createMailer } from '../../dist/src/index.js'
import { emptySink } from './emptySink.mjs'

const [megabytes = '7.5', count = '60', outstanding = '100', ...flags] = process.argv.slice(2)

if (process.send !== undefined) {
  const server = emptySink()
  server.once('listening', () => process.send(server.address().port))
} else await measure()

async function measure() {
  const server = fork(import.meta.filename)
  const [port] = await once(server, 'message')
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
    type: 'pkcs8',
    format: 'pem',
  })
  const dkim = { domain: 'acme.example', selector: 's', privateKey: key }
  const mailer = await createMailer({
    transport: {
      url: `smtp://127.0.0.1:${port}`,
      ...(flags.includes('rsa') ? { dkim } : {}),
    },
    from: 'a@acme.example',
    limits: { message: 64 * 2 ** 20 },
  })
  const bytes = Number(megabytes) * 1e6
  const fresh = () => randomFillSync(Buffer.allocUnsafeSlow(bytes))
  const same = fresh()
  const send = () =>
    mailer.sendAndWait({
      to: 'ada@example.com',
      subject: 'Your report',
      text: 'Hello',
      attachments: [{ filename: 'report.pdf', content: flags.includes('own') ? fresh() : same }],
    })
  await mailer.sendAndWait({ to: 'ada@example.com', subject: 'First', text: 'Hello' })
  const before = process.memoryUsage().rss
  let peak = 0
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage().rss)), 10)
  const start = performance.now()
  let left = Number(count)
  const caller = async () => {
    while (left-- > 0) {
      const { status } = await send()
      if (status !== 'sent') throw new Error(status)
    }
  }
  await Promise.all(Array.from({ length: Number(outstanding) }, caller))
  const seconds = (performance.now() - start) / 1000
  clearInterval(timer)
  console.log(
    `${megabytes} MB: ${(Number(count) / seconds).toFixed(1)} messages/s, ` +
      `${(before / 1e6).toFixed(0)} MB before, at most ${(peak / 1e6).toFixed(0)} MB`,
  )
  await mailer.close()
  server.kill()
}
