import { execFile } from 'node:child_process'
import { readdir, readFile, symlink } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { distributionOf } from '../../src/bench/distribution.js'
import { modesOf } from '../../src/bench/modes.js'
import { pageOf } from '../../src/bench/page/resultsPage.js'
import { cpuPerMessage } from '../../src/bench/rates.js'
import type { BenchReport, ModeResult } from '../../src/bench/report.js'
import { driftsOf } from '../../src/bench/soak.js'
import { summarize } from '../../src/bench/summary.js'
import { isMet, targetsOf } from '../../src/bench/targets.js'
import { folderOf } from '../support/folder.js'
import { testInbox } from '../support/mailer.js'
import { environment, main } from '../support/serve.js'

const run = promisify(execFile)

/** Runs `threadpost bench` in an empty folder, in which it must leave no files. */
async function bench(folder: string, ...args: string[]): Promise<string> {
  const options = { cwd: folder, env: environment, maxBuffer: 2 ** 24 }
  // On a machine that is busy with other tests, the figures are not to be trusted, and the command exits with 1.
  const { stdout } = await run(process.execPath, [main, 'bench', ...args], options).catch(
    (error: unknown) => {
      const failed = error as { code: number; stdout: string }
      if (failed.code === 1 && failed.stdout.includes('"trusted": false')) return failed
      throw error
    },
  )
  return stdout
}

const figure = (median: number) => ({ median, lowest: median, highest: median })

function result(name: string, figures: Record<string, number>): ModeResult {
  const [family = '', threads = '0'] = name.split('-')
  return {
    mode: { name, family: family as ModeResult['mode']['family'], threads: Number(threads) },
    meaning: '',
    figures: Object.fromEntries(Object.entries(figures).map(([key, value]) => [key, figure(value)])),
  }
}

// Each test starts several processes, which compile templates and fill queues before they measure.
describe('threadpost bench', { timeout: 600_000 }, () => {
  it('compares threadpost with baselines in an empty folder, and leaves only the page there', async () => {
    const folder = await folderOf({})
    const args = [
      '--modes',
      'precompiled,inline,memory',
      '--threads',
      '1',
      '--rounds',
      '1',
      '--seconds',
      '0.4',
    ]
    const report = JSON.parse(await bench(folder, ...args, '--json', '--html', 'bench.html')) as BenchReport
    expect(report.left).toEqual([])
    expect(report.modes.map(({ mode }) => mode.name)).toEqual(['precompiled', 'inline', 'memory-1'])
    for (const { figures } of report.modes) {
      for (const name of ['rate', 'coldRate', 'httpP99', 'sendP50', 'aloneP50', 'rss', 'start'] as const)
        expect(figures[name]?.median, name).toBeGreaterThan(0)
      expect(figures.loopP99?.median).toBeGreaterThanOrEqual(0)
    }
    expect(report.rates?.map(({ mode, points }) => [mode, points.map(({ at }) => at)])).toEqual(
      ['precompiled', 'inline', 'memory-1'].map((mode) => [mode, [20, 100, 500]]),
    )
    // The size of a receipt with its text part.
    expect(report.conditions.bytes).toBeGreaterThan(14_000)
    expect(report.trusted).toBe(report.noise.reasons.length === 0)
    expect(report.verdict.join(' ')).toMatch(
      report.trusted
        ? /messages per minute, .* inline sending is fine.*don't deliver a single message sooner/
        : /^These figures are not to be trusted, because /,
    )
    expect(await readdir(folder)).toEqual(['bench.html'])
    const page = await readFile(path.join(folder, 'bench.html'), 'utf8')
    expect(page.match(/<svg/g)?.length).toBeGreaterThanOrEqual(6)
    expect(page).not.toMatch(/<script|https?:\/\/|@import|url\(/)
  })

  it('measures a custom template at a fixed rate with added latency', async () => {
    const folder = await folderOf({
      'templates/hello.mjml':
        '<mjml><mj-head><mj-title>Hi {{name}}</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>{{name}}</mj-text></mj-column></mj-section></mj-body></mjml>',
      'data.json': '{ "name": "Ada" }',
    })
    const common = [
      '--template',
      'hello',
      '--modes',
      'memory',
      '--threads',
      '1',
      '--rounds',
      '1',
      '--seconds',
      '0.5',
    ]
    const args = [
      ...common,
      '--data',
      'data.json',
      '--rate',
      '100',
      '--latency',
      '40',
      '--http',
      '0',
      '--json',
    ]
    const { modes } = JSON.parse(await bench(folder, ...args)) as BenchReport
    const [memory] = modes
    expect(memory?.figures.aloneP50?.median).toBeGreaterThanOrEqual(40)
    expect(memory?.figures.httpP99).toBeUndefined()
    // A receipt does not wait for the line.
    expect(memory?.figures.sendP50?.median).toBeLessThan(memory?.figures.aloneP50?.median ?? 0)
    await expect(bench(folder, ...common)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^threadpost: .*missing: name/) as string,
    })

    // The name of a React template's file, with the data that it has itself.
    const react = await folderOf({
      'templates/card.jsx': `const Card = ({ name }) => { throw new Error('no ' + name) }
        Card.PreviewProps = { name: 'Ada' }
        export const subject = 'Hi'
        export default Card`,
    })
    await symlink(path.resolve(import.meta.dirname, '../../node_modules'), path.join(react, 'node_modules'))
    await expect(bench(react, '--template', 'card.jsx', '--modes', 'naive')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no Ada') as string,
    })
  })

  it('sends to a custom server only with confirmation', async () => {
    const inbox = await testInbox()
    const folder = await folderOf({})
    const server = ['--server', inbox.url, '--to', 'me@example.com', '--from', 'me@example.com']
    await expect(bench(folder, ...server)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/--i-own-this-server/) as string,
    })
    expect(inbox.count).toBe(0)
    const args = [
      '--modes',
      'inline',
      '--rounds',
      '1',
      '--seconds',
      '0.1',
      '--http',
      '0',
      '--i-own-this-server',
    ]
    expect(await bench(folder, ...server, ...args)).toContain('your SMTP server')
    expect(inbox.count).toBeGreaterThan(0)
    expect(inbox.connections().length).toBeGreaterThan(0)
  })

  it.each([
    ['rsa', ['precompiled', 'memory-1']],
    ['ed25519', ['memory-1']],
  ])('sends over TLS, with a login, and signed with %s', async (algorithm, measured) => {
    const args = [
      '--modes',
      'precompiled,memory,smtp-source',
      '--threads',
      '1',
      '--rounds',
      '1',
      '--seconds',
      '0.1',
    ]
    const secure = ['--tls', '--auth', '--dkim', algorithm, '--http', '0', '--rate', '50', '--json']
    const { modes, left, conditions } = JSON.parse(
      await bench(await folderOf({}), ...args, ...secure),
    ) as BenchReport
    expect(modes.map(({ mode }) => mode.name)).toEqual(measured)
    expect(left.map(({ mode }) => mode)).toEqual([
      ...['precompiled'].filter((mode) => !measured.includes(mode)),
      'smtp-source',
    ])
    expect(conditions.sink).toMatch(
      /own sink process.*over TLS.*with a login, signed with DKIM \((RSA|Ed25519)/,
    )
  })

  it('runs a soak test, and reports no result if it was too short', async () => {
    const args = ['--modes', 'memory', '--threads', '1', '--soak', '2s', '--json']
    const report = JSON.parse(await bench(await folderOf({}), ...args)) as {
      steady?: boolean
      samples: unknown[]
    }
    expect(report.steady).toBeUndefined()
    expect(report.samples.length).toBeGreaterThanOrEqual(1)
  })
})

describe('the report of a benchmark', () => {
  it('derives its summary from the cost per message', () => {
    const [inline, threaded, latency] = summarize([
      result('precompiled', { cpuMain: 1000, aloneP50: 2, sendP50: 2, httpP99: 30, httpIdleP99: 2 }),
      result('memory-1', { cpuMain: 50, rate: 5000, aloneP50: 3, sendP50: 0.1 }),
    ])
    expect(inline).toMatch(/takes 1 ms .*Up to 600 messages per minute.*From 6,000 per minute/)
    expect(inline).toMatch(/burst of 100 .* 100 ms.*takes 30 ms or longer \(without mail: 2 ms\)/)
    expect(threaded).toMatch(/0\.05 ms .*20 times less than precompiled.*12,000 messages per minute/)
    expect(latency).toMatch(/2 ms inline .*3 ms with memory-1.*2 ms inline.*0\.1 ms for the receipt/)
  })

  it('marks missed targets as missed, and targets that were not measured as neither met nor missed', () => {
    const modes = [
      result('memory-1', { rate: 5000 }),
      result('memory-2', { rate: 6500, cpuMain: 45, cores: 1.9 }),
    ]
    const report = { modes, conditions: { http: 250, cpus: 2 } } as BenchReport
    const targets = targetsOf(report)
    const of = (what: string) => targets.find((target) => target.what.startsWith(what))!
    expect(of('memory: rendered')).toMatchObject({ measured: 6500, mode: 'memory-2' })
    expect(isMet(of('memory: rendered'))).toBe(true)
    expect(isMet(of('memory: main-thread'))).toBe(false)
    expect(of('memory: main-thread').limit).toMatch(/1\.9 of 2 cores/)
    expect(isMet(of('SQLite: rendered'))).toBeUndefined()
  })

  it('detects growing memory and a dropping rate in a soak test', () => {
    const samples = (growth: number) =>
      Array.from({ length: 100 }, (_, index) => ({
        seconds: index,
        rate: 1000 - growth * index,
        rss: (100 + growth * index) * 2 ** 20,
        heap: 50 * 2 ** 20,
        sockets: 10,
        loopP99: 1,
      }))
    const drifting = (growth: number) =>
      driftsOf(samples(growth)).flatMap(({ what, ok }) => (ok ? [] : [what]))
    expect(drifting(0)).toEqual([])
    expect(drifting(5)).toEqual(['memory of the process and its threads', 'rate'])
  })

  it('subtracts what the measurement itself costs', () => {
    const usage = (seconds: number, main: number) => ({ seconds, cpu: { main, all: main * 2 } })
    const mail = { ...usage(3, 0.09), messages: 60 }
    const cost = (overhead: object, of: 'main' | 'all') =>
      cpuPerMessage(
        mail as Parameters<typeof cpuPerMessage>[0],
        overhead as Parameters<typeof cpuPerMessage>[1],
        of,
      )
    expect(cost(usage(1, 0.02), 'main')).toBeCloseTo(500)
    expect(cost(usage(1, 0.02), 'all')).toBeCloseTo(1000)
    expect(cost(usage(1, 0.05), 'main')).toBe(0)
    expect(cost({ seconds: 1, cpu: { all: 0 } }, 'main')).toBeUndefined()
    // No message was sent in time.
    mail.messages = 0
    expect(cost(usage(1, 0.02), 'all')).toBeUndefined()
  })

  it('computes percentiles of samples', () => {
    const { p50, p99, max } = distributionOf(Array.from({ length: 101 }, (_, index) => 100 - index))!
    expect([p50, p99, max]).toEqual([50, 99, 100])
    expect(distributionOf([])).toBeUndefined()
  })

  it('escapes text on its page', () => {
    const report = {
      modes: [result('memory-1', { rate: 1 })],
      conditions: { workload: '<script>x</script>', date: new Date(0).toISOString() },
      left: [{ mode: 'redis-1', reason: '<img src=x>' }],
      verdict: ['<b>'],
      noise: { before: { loopP99: 0 }, after: { loopP99: 0 }, reasons: [] },
      trusted: true,
    }
    expect(pageOf(report as unknown as BenchReport)).not.toMatch(/<script|<img|<b>/)
  })

  it('has one mode per thread count', () => {
    expect(modesOf(['inline', 'sqlite'], [1, 4]).map(({ name }) => name)).toEqual([
      'inline',
      'sqlite-1',
      'sqlite-4',
    ])
  })
})
