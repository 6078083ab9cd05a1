import { describe, expect, it } from 'vitest'
import {
  distrust,
  judgeMachine,
  judgeNoise,
  lookAtMachine,
  type MachineState,
  spreadOf,
} from '../../src/bench/noise.js'
import type { Figure, ModeResult } from '../../src/bench/report.js'

const QUIET: MachineState = { loopP99: 0.4, busy: 0.03, steal: 0, load: 0.2 }

function mode(figures: Record<string, Figure>): ModeResult {
  return { mode: { name: 'memory-1', family: 'memory', threads: 1 }, meaning: '', figures }
}

const rate = (lowest: number, median: number, highest: number): Figure => ({ lowest, median, highest })
const STEADY = mode({ rate: rate(5_000, 5_200, 5_400), httpIdleP99: rate(1.2, 1.5, 2) })

describe('the noise of a benchmark', () => {
  it('is no reason to distrust a quiet machine whose rounds agree', () => {
    expect(judgeNoise(QUIET, QUIET, [STEADY])).toEqual([])
  })

  it('is a reason if other programs run, the hypervisor takes time, or an idle loop is late', () => {
    const busy = { ...QUIET, busy: 0.98 }
    expect(judgeNoise(QUIET, busy, [STEADY])).toEqual([
      'other programs used 98% of the processors after the measurement',
    ])
    expect(judgeNoise({ ...QUIET, steal: 0.2 }, QUIET, [])).toEqual([
      'the hypervisor took 20% of the processors before the measurement',
    ])
    expect(judgeNoise({ ...QUIET, loopP99: 12.34 }, QUIET, [])).toEqual([
      'an idle event loop was 12.3 ms late (p99) before the measurement',
    ])
    expect(judgeNoise(busy, { ...busy, busy: 1 }, [])).toEqual([
      'other programs used 100% of the processors before and after the measurement',
    ])
    expect(judgeMachine(busy)).toEqual(['other programs used 98% of the processors before the measurement'])
  })

  it('is a reason if rounds disagree, in their rates or in the latency without mail', () => {
    const rates = mode({ rate: rate(2_000, 5_000, 5_200) })
    expect(judgeNoise(QUIET, QUIET, [rates])).toEqual(['the rounds of memory-1 differ by 64%'])
    const waits = mode({ rate: rate(5_000, 5_000, 5_000), httpIdleP99: rate(1.5, 4, 21) })
    expect(judgeNoise(QUIET, QUIET, [waits]).join()).toMatch(/without mail took 1\.5 ms .* and 21\.0 ms/)
    expect(spreadOf(rate(0, 0, 0))).toBe(0)
  })

  it('replaces the summary with one sentence that names every reason', () => {
    expect(distrust(['a is wrong', 'b is wrong'])).toMatch(
      /not to be trusted, because a is wrong; b is wrong\./,
    )
  })

  it('is measured on this machine', async () => {
    const { loopP99, busy, steal } = await lookAtMachine()
    expect(loopP99).toBeGreaterThanOrEqual(0)
    if (process.platform !== 'linux') return
    for (const share of [busy, steal]) {
      expect(share).toBeGreaterThanOrEqual(0)
      expect(share).toBeLessThanOrEqual(1)
    }
  })
})
