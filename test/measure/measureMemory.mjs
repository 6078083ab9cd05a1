// The cost of threadpost for a process: the time and memory of its import, and the memory of a mailer with one thread over SMTP.
// node test/measure/measureMemory.mjs [--processes 7] (after a build). Each figure is the median of several processes.
import { execFile } from 'node:child_process'
import path from 'node:path'
import { parseArgs, promisify } from 'node:util'
import { startInbox } from 'threadpost/testing'

const run = promisify(execFile)
const root = path.resolve(import.meta.dirname, '../..')
const { values } = parseArgs({ options: { processes: { type: 'string', default: '7' } } })

const COMMON = `
const memory = () => { gc(); return process.memoryUsage().rss / 1e6 }
const result = {}
`

const IMPORT = `${COMMON}
const before = memory()
const cpu = process.cpuUsage()
const start = performance.now()
await import('threadpost')
result['import, ms'] = performance.now() - start
const { user, system } = process.cpuUsage(cpu)
result['import, ms of CPU'] = (user + system) / 1000
result['import, MB added'] = memory() - before
console.log(JSON.stringify(result))`

const MAILER = `${COMMON}
result['Node itself, MB'] = memory()
const { createMailer } = await import('threadpost')
const mailer = await createMailer({ transport: process.env.INBOX, from: 'a@b.example' })
result['a mailer, MB in total'] = memory()
for (let n = 0; n < 100; n++) await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', text: 'Hello' })
result['after 100 mails, MB in total'] = memory()
await mailer.sendAndWait({ to: 'ada@example.com', subject: 'Hi', mjml: '<mjml><mj-body><mj-text>Hello</mj-text></mj-body></mjml>' })
result['after a mail that MJML compiled, MB in total'] = memory()
await mailer.close()
console.log(JSON.stringify(result))`

const inbox = await startInbox()
const env = { ...process.env, INBOX: inbox.url }
const rows = { ...(await medians(IMPORT)), ...(await medians(MAILER)) }
await inbox.close()
console.table(rows)

async function medians(code) {
  const found = []
  for (let n = 0; n < Number(values.processes); n++) {
    const args = ['--expose-gc', '--input-type=module', '-e', code]
    const { stdout } = await run(process.execPath, args, { cwd: root, env })
    found.push(JSON.parse(stdout))
  }
  const median = (name) => found.map((row) => row[name]).toSorted((a, b) => a - b)[found.length >> 1]
  return Object.fromEntries(Object.keys(found[0]).map((name) => [name, Number(median(name).toFixed(1))]))
}
