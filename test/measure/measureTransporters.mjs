/**
 * Measures many transporters in one process with one mail each: time, CPU time, memory, and threads, for threadpost's adapter and for
 * nodemailer. Run it with `node test/measure/measureTransporters.mjs [TRANSPORTERS]` after a build. Each package runs in a process of its own.
 */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)
const [count = '40', name, url] = process.argv.slice(2)

if (name === undefined) {
  const { startInbox } = await import('threadpost/testing')
  const inbox = await startInbox({ keep: 10_000 })
  console.log('package              transporters   seconds   CPU seconds   MB (peak)   threads')
  for (const [packageName, transporters] of [
    ['nodemailer', count],
    ['threadpost/nodemailer', '1'],
    ['threadpost/nodemailer', count],
  ]) {
    const { stdout } = await run(process.execPath, [
      import.meta.filename,
      transporters,
      packageName,
      inbox.url,
    ])
    process.stdout.write(stdout)
  }
  await inbox.close()
} else {
  const { default: nodemailer } = await import(name)
  const cpu = process.cpuUsage()
  const start = performance.now()
  const transporters = Array.from({ length: Number(count) }, () => nodemailer.createTransport(url))
  await Promise.all(
    transporters.map((transporter, index) =>
      transporter.sendMail({
        from: 'a@b.example',
        to: `user${index}@example.com`,
        subject: 'Hello',
        text: 'Hi',
      }),
    ),
  )
  const seconds = (performance.now() - start) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  const threads = readdirSync('/proc/self/task').length
  const megabytes = process.resourceUsage().maxRSS / 1_024
  console.log(
    [
      name.padEnd(20),
      count.padStart(12),
      seconds.toFixed(2).padStart(9),
      ((user + system) / 1e6).toFixed(2).padStart(13),
      megabytes.toFixed(0).padStart(11),
      String(threads).padStart(9),
    ].join(' '),
  )
  await Promise.all(transporters.map((transporter) => transporter.close()))
}
