// CPU of the main thread per message whose template has a `load` function that takes 300 ms and makes a PDF of 100 kB:
//   node test/measure/measureLoad.mjs [messages] [milliseconds] [kilobytes] [rounds]
// The sink is another process. For comparison, the same mail without `load`, and an idle mailer for as long.
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { startBuiltInSink } from '../../dist/src/bench/environment.js'
import { createMailer } from '../../dist/src/index.js'

const [messages = 200, milliseconds = 300, kilobytes = 100, rounds = 5] = process.argv.slice(2).map(Number)

const MAIL = `<mjml><mj-head><mj-title>Invoice</mj-title></mj-head><mj-body><mj-section><mj-column>
<mj-text>Invoice {{id}}</mj-text></mj-column></mj-section></mj-body></mjml>`
const LOAD = `
import { randomFillSync } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
export async function load() {
  await setTimeout(${milliseconds})
  const content = randomFillSync(new Uint8Array(${kilobytes * 1000}))
  return { attachments: [{ filename: 'invoice.pdf', content }] }
}`

await measure()

/** CPU time of the main thread in microseconds, as Linux reports it. */
function cpuOfThisThread() {
  return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1000
}

async function measure() {
  const folder = await mkdtemp(path.join(tmpdir(), 'threadpost-load-'))
  const sink = await startBuiltInSink()
  try {
    await Promise.all([
      writeFile(path.join(folder, 'loaded.mjml'), MAIL),
      writeFile(path.join(folder, 'loaded.load.mjs'), LOAD),
      writeFile(path.join(folder, 'plain.mjml'), MAIL),
    ])
    const mailer = await createMailer({
      transport: `smtp://127.0.0.1:${sink.port}`,
      from: 'a@acme.example',
      templates: folder,
    })
    for (let round = 0; round < rounds; round++)
      for (const template of ['loaded', 'plain'])
        console.log(`${template}: ${await costOf(mailer, template)}`)
    await mailer.close()
  } finally {
    await sink.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Sends all messages at once, and reads the clocks of the main thread. */
async function costOf(mailer, template) {
  const cpu = cpuOfThisThread()
  const loop = performance.eventLoopUtilization()
  const start = performance.now()
  await Promise.all(
    Array.from({ length: messages }, async (_, id) => {
      const { status } = await mailer.sendAndWait({ template, to: 'ada@example.com', data: { id } })
      if (status !== 'sent') throw new Error(status)
    }),
  )
  const seconds = (performance.now() - start) / 1000
  const busy = performance.eventLoopUtilization(loop).active * 1000
  const used = cpuOfThisThread() - cpu
  const idleCpu = cpuOfThisThread()
  await pause(1000)
  const idle = cpuOfThisThread() - idleCpu
  return (
    `${(used / messages).toFixed(0)} µs of CPU, ${(busy / messages).toFixed(0)} µs busy per message; ` +
    `${seconds.toFixed(1)} s; an idle second takes ${idle.toFixed(0)} µs of CPU`
  )
}
