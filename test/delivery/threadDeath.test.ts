import type { Logger } from 'threadpost'
import { describe, expect, it } from 'vitest'
import { deliverUntilSettled } from '../../src/delivery/crashRecovery.js'
import { type Evidence, NOTHING_STARTED } from '../../src/protocol/evidence.js'
import { type Outcome, type Phase } from '../../src/protocol/outcome.js'
import { PhaseBoard } from '../../src/protocol/phaseBoard.js'
import type { DeliverTask, ThreadLogLine } from '../../src/protocol/tasks.js'
import { emptyFacts } from '../../src/protocol/unsentOutcome.js'
import type { DeliveryOrder, RunResult } from '../../src/threads/runner.js'
import { DisabledRunner } from '../../src/threads/threadlessRunners.js'
import { DeliveryContext } from '../../workers/deliveryContext.js'
import { ThreadLog } from '../../workers/threadLog.js'

type Death = Extract<RunResult, { died: true }>

const ORDER = {
  payload: { id: 'm1' },
  recipients: ['ada@example.com', 'bob@example.com'],
  attempt: 2,
} as unknown as DeliveryOrder

const SENT: RunResult = {
  died: false,
  outcome: { result: 'sent', code: 'OK', message: 'taken', ...emptyFacts() },
}

const death = (role: Death['role'], evidence: Evidence = NOTHING_STARTED, reason = 'why'): Death => ({
  died: true,
  role,
  evidence,
  reason,
})

/** Delivers with a runner that gives these results in turn. @returns the outcome, and which deliveries were isolated */
async function deliverWith(results: (RunResult | Error)[], logger?: Partial<Logger>) {
  const isolated: boolean[] = []
  const left = [...results]
  const deliver = (_: DeliveryOrder, alone: boolean): Promise<RunResult> => {
    isolated.push(alone)
    const next = left.shift()
    return next === undefined || next instanceof Error
      ? Promise.reject(next ?? new Error('one delivery too many'))
      : Promise.resolve(next)
  }
  const runner = Object.assign(new DisabledRunner(undefined, () => undefined), { deliver })
  const outcome = await deliverUntilSettled(runner, ORDER, (logger ?? {}) as Logger, async () => undefined)
  return { outcome, isolated }
}

describe('deliverUntilSettled', () => {
  it.each<[string, RunResult[], boolean[]]>([
    ['a bystander among the others, however often', Array(5).fill(death('bystander')), Array(6).fill(false)],
    ['a suspect in isolation', [death('suspect')], [false, true]],
    ['a culprit in isolation', [death('culprit'), death('culprit')], [false, true, true]],
  ])('delivers %s', async (_, deaths, expected) => {
    const { outcome, isolated } = await deliverWith([...deaths, SENT])
    expect(isolated).toEqual(expected)
    expect(outcome).toMatchObject({ result: 'sent', code: 'OK' })
  })

  it.each<[string, RunResult[], Partial<Outcome>]>([
    ['gives up a message that killed three threads', Array(3).fill(death('culprit')), { code: 'POISON' }],
    [
      'gives up no message for the deaths of isolated threads that it did not cause',
      [death('suspect'), ...Array(3).fill(death('bystander', NOTHING_STARTED, 'the price list is away'))],
      { code: 'SETUP_FAILED', message: expect.stringMatching(/: the price list is away$/) },
    ],
    ['returns the message when the mailer was closed', [death('closed')], { code: 'RELEASED' }],
    [
      'is uncertain of a message whose body was under way',
      [death('bystander', { phase: 'body', thread: 1, reply: 0, recipients: [] })],
      { result: 'uncertain', code: 'THREAD_DIED' },
    ],
    ...(
      [
        [250, 'sent', 'OK'],
        [451, 'deferred', 'SMTP_DEFERRED'],
        [550, 'rejected', 'SMTP_REJECTED'],
      ] as const
    ).map(([reply, result, code]): [string, RunResult[], Partial<Outcome>] => [
      `takes a reply of ${reply} for the outcome, whoever killed the thread`,
      [death('culprit', { phase: 'replied', thread: 1, reply, recipients: ['accepted', 'rejected'] })],
      {
        result,
        code,
        recipients: [
          { address: 'ada@example.com', result: 'accepted', reply: expect.anything() },
          { address: 'bob@example.com', result: 'rejected', reply: expect.anything() },
        ],
      } as Partial<Outcome>,
    ]),
  ])('%s', async (_, results, expected) => {
    const { outcome } = await deliverWith(results)
    expect(outcome).toMatchObject(expected)
  })
})

const SHORT = 'An internal error occurred; the log has the details.'

/** A defect, with a stack that names files. */
const defect = (): Error => new TypeError('x is not a function')

describe('an internal error', () => {
  it('of the main thread gives users one sentence, and the log the stack', async () => {
    const lines: [object, string][] = []
    const error = (fields: object, message: string): void => void lines.push([fields, message])
    const { outcome } = await deliverWith([defect()], { error })
    expect(outcome).toEqual({ result: 'deferred', code: 'INTERNAL_ERROR', message: SHORT, ...emptyFacts() })
    expect(lines).toEqual([
      [
        {
          id: 'm1',
          attempt: 2,
          stack: expect.stringMatching(/^TypeError: x is not a function\n +at .*threadDeath/),
        },
        'Internal error while delivering a message',
      ],
    ])
  })

  it.each<[Phase, Outcome['result']]>([
    ['rendering', 'deferred'],
    ['composing', 'deferred'],
    ['envelope', 'deferred'],
    ['body', 'uncertain'],
  ])('of a worker thread in the phase %s does so too, and is %s', (phase, result) => {
    const board = new PhaseBoard(PhaseBoard.allocate(1, 1), 1)
    const lines: ThreadLogLine[] = []
    const task = {
      payload: { id: 'm1', content: { kind: 'literal' } },
      ...{ attempt: 2, slot: 0, generation: board.assign(0) },
    } as unknown as DeliverTask
    const context = new DeliveryContext(board, task, 7, new ThreadLog((line) => lines.push(line)))
    context.enterPhase(phase)
    expect(context.internalError(defect())).toEqual({
      ...{ result, code: 'INTERNAL_ERROR', message: SHORT, phase },
      ...{ recipients: [], timings: {}, thread: 7 },
    })
    expect(lines).toEqual([
      {
        level: 'error',
        fields: {
          id: 'm1',
          attempt: 2,
          stack: expect.stringMatching(/^TypeError: x is not a function\n +at /),
        },
        message: 'Internal error while delivering a message',
      },
    ])
  })
})
