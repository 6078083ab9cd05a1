// What TLS and signatures cost (W1), beside plain mail, nodemailer, SQLite, and smtp-source, all in one run, in turns:
//   npm run build && node test/measure/measureSigned.mjs [--rounds 3] [--threads 1]
// Prints medians, and the ratios that the design sets targets for. Takes about four minutes a round.
import { spawn } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import path from 'node:path'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, threads: { type: 'string', default: '1' } },
})
const threads = Number(values.threads)
const bench = path.resolve(import.meta.dirname, 'bench.mjs')

/** Name, modes that one call of the benchmark measures, and its further options. */
const variants = [
  ['plain', `memory,precompiled,sqlite,smtp-source`, []],
  ['DKIM RSA-2048', 'memory,precompiled', ['--dkim', 'rsa']],
  ['DKIM Ed25519', 'memory', ['--dkim', 'ed25519']],
  ['TLS', 'memory,precompiled', ['--tls']],
  ['TLS, DKIM RSA-2048', 'memory,precompiled', ['--tls', '--dkim', 'rsa']],
  ['TLS, DKIM Ed25519', 'memory', ['--tls', '--dkim', 'ed25519']],
]
const rows = new Map()
const bare = { rsa: [], ed25519: [] }
for (let round = 0; round < Number(values.rounds); round += 1) {
  for (const algorithm of ['rsa', 'ed25519']) bare[algorithm].push(bareSignature(algorithm))
  for (const [name, modes, options] of variants)
    for (const { mode, figures } of await run(modes, options)) {
      const key = `${name}, ${mode.family}`
      if (!rows.has(key)) rows.set(key, { rate: [], cpuAll: [], cpuMain: [] })
      for (const figure of ['rate', 'cpuAll', 'cpuMain'])
        if (figures[figure]) rows.get(key)[figure].push(figures[figure].median)
    }
}
const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]
const figure = (key, name) => median(rows.get(key)[name])
for (const [key, { rate, cpuAll, cpuMain }] of rows)
  console.log(
    `${key.padEnd(32)} ${Math.round(median(rate))}/s (${rate.map(Math.round).join(', ')})` +
      (cpuAll.length > 0
        ? `, all threads ${Math.round(median(cpuAll))} µs, main thread ${Math.round(median(cpuMain))} µs`
        : ''),
  )
const rate = (key) => figure(key, 'rate')
for (const algorithm of ['rsa', 'ed25519']) {
  const one = median(bare[algorithm])
  const key = `DKIM ${algorithm === 'rsa' ? 'RSA-2048' : 'Ed25519'}, memory`
  const above = figure(key, 'cpuAll') - figure('plain, memory', 'cpuAll')
  console.log(
    `${key}: ${Math.round(above)} µs above plain; a bare signature takes ${Math.round(one)} µs: ${(above / one).toFixed(2)} times`,
  )
}
for (const [one, other] of [
  ['DKIM Ed25519, memory', 'plain, memory'],
  ['TLS, memory', 'plain, memory'],
  ['plain, memory', 'plain, smtp-source'],
  ['plain, memory', 'plain, precompiled'],
  ['DKIM RSA-2048, memory', 'DKIM RSA-2048, precompiled'],
  ['TLS, memory', 'TLS, precompiled'],
  ['TLS, DKIM RSA-2048, memory', 'TLS, DKIM RSA-2048, precompiled'],
  ['plain, sqlite', 'plain, smtp-source'],
])
  console.log(`${one} to ${other}: ${(rate(one) / rate(other)).toFixed(2)}`)

/** Microseconds of CPU that one signature of 200 bytes takes. */
function bareSignature(algorithm) {
  const { privateKey } =
    algorithm === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519')
  const bytes = Buffer.alloc(200, 'x')
  const hash = algorithm === 'rsa' ? 'sha256' : null
  for (let n = 0; n < 500; n += 1) sign(hash, bytes, privateKey)
  const before = process.cpuUsage()
  for (let n = 0; n < 2_000; n += 1) sign(hash, bytes, privateKey)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 2_000
}

async function run(modes, options) {
  const child = spawn(
    process.execPath,
    [
      bench,
      '--modes',
      modes,
      '--threads',
      String(threads),
      '--rounds',
      '1',
      '--http',
      '0',
      '--json',
      ...options,
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  )
  let text = ''
  for await (const chunk of child.stdout) text += chunk
  return JSON.parse(text).modes
}
