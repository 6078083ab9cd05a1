import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'
import { expect, it } from 'vitest'
import { distributionOf } from '../../src/bench/distribution.js'
import { modesOf } from '../../src/bench/modes.js'
import type * as built from '../../src/bench/page/resultsPage.js'
import type { BenchReport, ModeResult } from '../../src/bench/report.js'
import { faultsOf } from '../support/browser.js'
import { builtFile } from '../support/built.js'
import { folderOf } from '../support/folder.js'
import { itWith } from '../support/tools.js'

const run = promisify(execFile)
const ROOT = path.resolve(import.meta.dirname, '../..')
const IMAGES = path.join(ROOT, '.github/images')
const updating = process.env['UPDATE_SCREENSHOTS'] === '1'
const { pageOf } = (await import(
  pathToFileURL(builtFile('src/bench/page/resultsPage.js')).href
)) as typeof built

const figure = (median: number) => ({ median, lowest: median * 0.9, highest: median * 1.1 })

/** A report with made-up figures of every kind. */
function sample(): BenchReport {
  const modes = modesOf(['naive', 'precompiled', 'inline', 'memory', 'smtp-source'], [1, 2])
  return {
    conditions: {
      node: 'v20',
      cpu: 'made up',
      cpus: 2,
      platform: 'linux',
      date: new Date(0).toISOString(),
      sink: 'a sink',
      workload: 'W1',
      bytes: 16_600,
      rounds: 3,
      seconds: 1,
      connections: 10,
      http: 250,
      latency: 0,
      batch: 1,
    },
    modes: modes.map((mode, index): ModeResult => {
      const rate = figure(100 * 4 ** index)
      if (mode.family === 'smtp-source') return { mode, meaning: 'C', figures: { rate } }
      const curve = distributionOf(Array.from({ length: 500 }, (_, at) => 1 + (at % 37) / (index + 1)))!
      const figures = {
        rate,
        coldRate: figure(50 * 4 ** index),
        cpuMain: figure(5000 / 3 ** index),
        cpuAll: figure(6000 / 3 ** index),
      }
      return {
        mode,
        meaning: 'made up',
        figures: { ...figures, httpIdleP99: figure(2), httpP99: figure(40 / (index + 1)) },
        curves: {
          alone: curve,
          send: curve,
          delivery: curve,
          loopOverTime: Array.from({ length: 10 }, (_, at) => 20 / (index + 1) + at),
        },
      }
    }),
    left: [],
    verdict: ['Inline sending is fine up to 48 messages per minute.'],
    noise: { before: { loopP99: 0 }, after: { loopP99: 0 }, reasons: [] },
    trusted: true,
    targets: [{ what: 'rate', unit: '/s', bound: '≥', target: 6000, measured: 5000, limit: 'two cores' }],
    rates: [
      {
        mode: 'memory-1',
        points: [
          {
            at: 20,
            cpuMain: 210,
            cpuAll: 480,
            overhead: 25,
            deliveryP50: 1,
            deliveryP99: 3,
            loopP99: 1,
            unfinished: 0,
          },
        ],
      },
    ],
    scaling: [
      { by: 'threads', note: 'x', points: [{ at: '1', mode: 'memory-1', figures: { rate: figure(1) } }] },
    ],
  }
}

/** Makes the picture of the README: `UPDATE_SCREENSHOTS=1 npm test -- test/bench/resultsPage.test.ts`, on an idle machine. */
async function measured(file: string): Promise<void> {
  const command = path.join(ROOT, 'test/measure/bench.mjs')
  const modes = ['--modes', 'naive,precompiled,bullmq,inline,memory,sqlite,smtp-source']
  await run(process.execPath, [command, ...modes, '--html', file], { cwd: path.dirname(file) })
}

itWith(
  ['chromium'],
  'the results page is self-contained, fits any width, and has no axe violation, in light and dark mode',
  async ({ chromium: tool }) => {
    const folder = await folderOf({})
    const file = path.join(folder, 'bench.html')
    if (updating) await measured(file)
    else await writeFile(file, pageOf(sample()))
    const { command, args, env } = tool
    const browser = await chromium.launch({ executablePath: command, args, env: { ...process.env, ...env } })
    try {
      for (const colorScheme of ['light', 'dark'] as const) {
        for (const width of [1280, 390, 320]) {
          const page = await browser.newPage({
            viewport: { width, height: 860 },
            colorScheme,
            deviceScaleFactor: 2,
          })
          const loaded: string[] = []
          page.on('request', (request) => loaded.push(request.url()))
          await page.goto(pathToFileURL(file).href)
          expect(loaded).toEqual([pathToFileURL(file).href])
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
          expect(await page.locator('svg').count()).toBe(7)
          const curves = page.locator('polyline')
          expect(await curves.count()).toBeGreaterThan(10)
          expect(await faultsOf(page), `${width} px, ${colorScheme}`).toEqual([])
          // No mark is drawn outside its chart.
          expect(await page.evaluate(OUTSIDE)).toEqual([])
          if (updating && colorScheme === 'light' && width === 1280) {
            await mkdir(IMAGES, { recursive: true })
            await page.screenshot({ path: path.join(IMAGES, 'bench.png') })
          }
          await page.close()
        }
      }
    } finally {
      await browser.close()
    }
  },
)

const OUTSIDE = `[...document.querySelectorAll('svg *')].filter((mark) => {
  const [inner, outer] = [mark.getBoundingClientRect(), mark.ownerSVGElement.getBoundingClientRect()]
  return inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1
}).map((mark) => mark.outerHTML)`

it('the results page of a report without curves has no line charts', () => {
  const report = sample()
  report.modes = report.modes.filter(({ curves }) => curves === undefined)
  expect(pageOf(report).match(/<svg/g)?.length).toBe(1)
})
