// 100 welcome mails in React Email with Tailwind, inline and in worker threads, and the HTTP p99 of the web process meanwhile:
//   node test/measure/measureReact.mjs [messages] [rounds]
// The template is that of the start page. The sink and the HTTP client (250 requests per second) are other processes. React is
// loaded, and one mail is sent, before each measurement.
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createInlineSender } from '../../dist/src/bench/baselines/inlineSending.js'
import { startBuiltInSink } from '../../dist/src/bench/environment.js'
import { startHttpLoad } from '../../dist/src/bench/http/httpLoad.js'
import { createMailer } from '../../dist/src/index.js'

const [messages = 100, rounds = 3] = process.argv.slice(2).map(Number)
const REQUESTS = 250
/** Messages that are sent inline at a time. */
const CONCURRENCY = 10

const templates = path.join(import.meta.dirname, '../../src/server/start/react')
const data = JSON.parse(await readFile(path.join(templates, 'welcome.json'), 'utf8'))
const sink = await startBuiltInSink()
const options = { transport: `smtp://127.0.0.1:${sink.port}`, from: 'a@acme.example', templates }
const mailer = await createMailer(options)
const sender = await createInlineSender({ ...options, template: 'welcome', compileOnce: false })
const http = await startHttpLoad(REQUESTS)
const to = 'ada@example.com'

const inline = async (count) => {
  let left = count
  const worker = async () => {
    while (left-- > 0) await sender.send({ to, subject: 'Welcome', data })
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
}
const threads = async (count) => {
  const sent = Array.from({ length: count }, () => mailer.sendAndWait({ template: 'welcome', to, data }))
  for (const { status } of await Promise.all(sent)) if (status !== 'sent') throw new Error(status)
}
const idle = () => pause(1000)

try {
  await inline(1)
  await threads(CONCURRENCY)
  for (let round = 0; round < rounds; round++)
    for (const [name, work] of Object.entries({ idle, inline, threads })) {
      await http.begin()
      const start = performance.now()
      await work(messages)
      const seconds = (performance.now() - start) / 1000
      const { p99, max } = await http.end()
      console.log(
        `${name.padEnd(8)} ${seconds.toFixed(2)} s, HTTP p99 ${p99.toFixed(1)} ms, max ${max.toFixed(1)} ms`,
      )
    }
} finally {
  await http.close()
  await sender.close()
  await mailer.close()
  await sink.close()
}
