// How many durable receipts a second the SQLite queue gives: node test/measure/measureReceipts.mjs (after a build).
// One caller is one commit a message; many callers share one.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createMailer } from 'threadpost'

const mail = { to: 'ada@example.com', subject: 'Hello', text: 'Hello, Ada' }
const rows = []
for (const [callers, messages] of [
  [1, 2_000],
  [64, 40_000],
]) {
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-receipts-'))
  const mailer = await createMailer({
    transport: 'smtp://127.0.0.1:9',
    from: 'shop@example.com',
    queue: `sqlite:${path.join(folder, 'outbox.db')}`,
    limits: { queue: messages },
  })
  await mailer.pause()
  const waits = []
  let left = messages
  const call = async () => {
    while (left-- > 0) {
      const start = performance.now()
      await mailer.send(mail)
      waits.push(performance.now() - start)
    }
  }
  const start = performance.now()
  await Promise.all(Array.from({ length: callers }, call))
  const seconds = (performance.now() - start) / 1000
  waits.sort((a, b) => a - b)
  rows.push({
    callers,
    'receipts/s': Math.round(messages / seconds),
    'p50 ms': Number(waits[Math.floor(messages * 0.5)].toFixed(2)),
    'p99 ms': Number(waits[Math.floor(messages * 0.99)].toFixed(2)),
  })
  await mailer.close({ deadline: 0 })
  await rm(folder, { recursive: true })
}
console.table(rows)
