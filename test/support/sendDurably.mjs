// Sends from a SQLite queue, one by one and many at once, and prints the commits and SQL statements of each:
//   node --import …/countStatements.mjs test/support/sendDurably.mjs FILE
import { setTimeout as sleep } from 'node:timers/promises'
import { BroadcastChannel } from 'node:worker_threads'
import { createMailer } from 'threadpost'
import { startInbox } from 'threadpost/testing'

const inbox = await startInbox()
const mailer = await createMailer({
  transport: inbox.url,
  from: 'a@b.example',
  queue: 'sqlite:' + process.argv[2],
})
const mail = { to: 'ada@example.com', subject: 'Hello', text: 'Hello Ada' }
const channel = new BroadcastChannel('statements')
let statements = 0
channel.onmessage = ({ data }) => {
  if (typeof data === 'number') statements += data
}
async function counts() {
  statements = 0
  channel.postMessage('how many?')
  // Threads that deliver answer with 0.
  while (statements === 0) await sleep(10)
  return { statements, commits: (await mailer.stats()).commits.time.count }
}
const difference = (a, b) => ({ statements: b.statements - a.statements, commits: b.commits - a.commits })
await mailer.sendAndWait(mail)
const start = await counts()
for (let i = 0; i < 20; i++) await mailer.sendAndWait(mail)
const alone = await counts()
const receipts = await mailer.sendMany(Array.from({ length: 500 }, () => mail))
await Promise.all(receipts.map(({ id }) => mailer.wait(id)))
const many = await counts()
await mailer.close()
await inbox.close()
channel.close()
console.log(JSON.stringify({ alone: difference(start, alone), many: difference(alone, many) }))
