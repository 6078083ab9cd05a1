import { describe, expect, it } from 'vitest'
import { PhaseBoard } from '../../src/protocol/phaseBoard.js'
import { PulseBoard } from '../../src/protocol/pulseBoard.js'
import { CrashAttribution, type CrashRole } from '../../src/threads/crashAttribution.js'
import type { Termination } from '../../src/threads/watchdog.js'
import { ThreadDied } from '../../src/threads/workerChannel.js'

const THREAD = 7
const PLACE = 0

interface Crash {
  rendered?: number[]
  /** Slots that rendered since the last beat. */
  recent?: number[]
  rendering?: number
  /** In a `load` function, behind its first `await`. */
  loading?: number
  isolated?: boolean
  actor?: number
  termination?: Termination
}

/** Three deliveries of one thread; `rendered` and `rendering` name slots, in that order. */
function crashWith(options: Crash): { roles: CrashRole[]; hasCulprit: boolean } {
  const pulses = new PulseBoard(PulseBoard.allocate(1))
  const pulse = {
    get beats() {
      return pulses.beats(PLACE)
    },
    step: () => undefined,
    compile: () => undefined,
  }
  const board = new PhaseBoard(PhaseBoard.allocate(3, 1), 1, pulse)
  const attribution = new CrashAttribution(board, pulses)
  const generations = [0, 1, 2].map((slot) => {
    attribution.begin(slot, `message-${slot}`)
    const generation = board.assign(slot)
    board.occupy(slot, generation, THREAD)
    return generation
  })
  const render = (slot: number): void => {
    board.enter(slot, generations[slot]!, 'rendering')
    board.enter(slot, generations[slot]!, 'waiting')
  }
  options.rendered?.forEach(render)
  pulses.beat(PLACE)
  options.recent?.forEach(render)
  if (options.rendering !== undefined)
    board.enter(options.rendering, generations[options.rendering]!, 'rendering')
  if (options.loading !== undefined) board.enter(options.loading, generations[options.loading]!, 'loading')
  if (options.actor !== undefined)
    pulses.act(PLACE, { slot: options.actor, generation: generations[options.actor]! })
  const death = new ThreadDied('The thread ended.', { thread: THREAD, ready: true })
  const hasCulprit = attribution.attribute(death, {
    place: PLACE,
    isolated: options.isolated === true,
    termination: options.termination,
  })
  return { roles: [0, 1, 2].map((slot) => attribution.roleOf(slot, death)), hasCulprit }
}

const stalled: Termination = { cause: 'stalled', reason: 'blocked' }
const [C, S, B]: CrashRole[] = ['culprit', 'suspect', 'bystander']

describe('CrashAttribution', () => {
  it.each<[title: string, crash: Crash, roles: (CrashRole | undefined)[]]>([
    ['blames the delivery that was rendering', { rendered: [0], rendering: 1 }, [B, C, B]],
    ['suspects every delivery that had rendered', { rendered: [0, 2] }, [S, B, S]],
    ['suspects no delivery that never rendered', {}, [B, B, B]],
    [
      'suspects only deliveries that rendered since the last beat of a blocked thread',
      { rendered: [0], recent: [2], termination: stalled },
      [B, B, S],
    ],
    [
      'suspects a delivery that is loading in a blocked thread, however long ago it began',
      { rendered: [0, 1], recent: [2], loading: 1, termination: stalled },
      [B, S, S],
    ],
    [
      'suspects earlier deliveries of a blocked thread if none rendered since the last beat',
      { rendered: [0, 1], termination: stalled },
      [S, S, B],
    ],
    [
      'blames the overdue delivery that the watchdog named',
      { rendered: [0, 1], termination: { cause: 'overdue', slot: 1, reason: 'late' } },
      [B, C, B],
    ],
    [
      'blames no delivery for a requested termination',
      { rendering: 1, termination: { cause: 'requested', reason: 'asked' } },
      [B, B, B],
    ],
    ['blames the owner of the code that ran in an isolated thread', { isolated: true, actor: 0 }, [C, B, B]],
    [
      'blames no delivery when setup code ran in an isolated thread',
      { isolated: true, rendered: [0] },
      [B, B, B],
    ],
  ])('%s', (_, options, roles) => {
    expect(crashWith(options)).toEqual({ roles, hasCulprit: roles.includes('culprit') })
  })
})
