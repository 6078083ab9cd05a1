import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Clock } from '../../src/clock.js'
import { Dispatcher } from '../../src/delivery/dispatcher.js'
import { resolveRetry } from '../../src/delivery/retry.js'
import { SILENT } from '../../src/logging/logger.js'
import { redactionOf } from '../../src/logging/redaction.js'
import type { Outcome, SmtpReply } from '../../src/protocol/outcome.js'
import { cancelManually } from '../../src/queue/actions.js'
import { MemoryQueue } from '../../src/queue/memory/driver.js'
import { SuppressionLookup } from '../../src/suppressions/suppressionLookup.js'
import { Events } from '../../src/telemetry/events.js'
import { FigureCollector } from '../../src/telemetry/figures.js'
import { Instruments } from '../../src/telemetry/instruments.js'
import { MessageObserver } from '../../src/telemetry/messageObserver.js'
import { Metrics } from '../../src/telemetry/metrics.js'
import { OpenTelemetry } from '../../src/telemetry/openTelemetry.js'
import { Tracing } from '../../src/telemetry/tracing.js'
import { Waiters } from '../../src/telemetry/waiters.js'
import type { DeliveryOrder } from '../../src/threads/runner.js'
import type { TransportStateOptions } from '../../src/transports/transportState.js'
import { Validator } from '../../src/validation.js'
import { modelThreads } from '../support/modelThreads.js'
import { mostInASecond } from '../support/mostInASecond.js'
import { DAY, jobOf } from '../support/queueSuite/jobs.js'
import { randomFrom } from '../support/random.js'
import { VirtualTime } from '../support/virtualTime.js'

const policy = resolveRetry(new Validator('INVALID_OPTIONS'), { baseDelay: 1, factor: 1, jitter: 'none' })

interface World {
  seed: number
  capacity: number
  /** Milliseconds. */
  transaction: number
  routes: TransportStateOptions[]
  answer?: (order: DeliveryOrder) => Partial<Outcome>
}

/** A queue and a dispatcher on virtual time, as a mailer puts them together. */
async function worldOf({ seed, capacity, transaction, routes, answer }: World) {
  const redaction = redactionOf({ recipients: false })
  const telemetry = await OpenTelemetry.load()
  const steps = new MessageObserver({
    logger: SILENT,
    tracing: new Tracing(telemetry, redaction),
    instruments: new Instruments(telemetry),
    redaction,
    metrics: new Metrics(),
    figures: new FigureCollector(),
    events: new Events(SILENT),
    waiters: new Waiters(),
  })
  const time = new VirtualTime()
  time.install()
  const clock = new Clock()
  const { runner, observed } = modelThreads(time, capacity, transaction, randomFrom(seed), answer)
  const held: string[] = []
  const queue = new MemoryQueue({
    limit: 100_000,
    maxAge: DAY,
    retain: { count: 100_000, age: DAY, data: 'kept', keys: DAY },
    onChange: ({ job, state }) => {
      if (state.heldReason === 'budget') held.push(job.id)
    },
    clock,
  })
  const slowed: number[] = []
  const dispatcher = new Dispatcher(runner, {
    clock,
    transports: routes,
    policy,
    breaker: { probeDelay: 1_000, maxProbeDelay: 60_000 },
    listener: { opened: () => undefined, closed: () => undefined, slowed: (_, rate) => slowed.push(rate) },
    logger: SILENT,
    observer: steps,
    safeMode: undefined,
    loadRules: { limits: { message: 1e6, attachments: 50, recipients: 50 } },
    suppressions: new SuppressionLookup(queue, SILENT),
    wakeHeld: (transports, most) => queue.wakeHeld(transports, most),
  })
  await queue.start(dispatcher)
  dispatcher.started()
  return { time, queue, dispatcher, runner, observed, held, slowed }
}

const plain = (name: string): TransportStateOptions => ({ name, budget: {}, failover: [] })

/** Returns the answers of a server that throttles at some of its replies, counted from 1. */
function throttling(reply: SmtpReply, at: readonly number[]): () => Partial<Outcome> {
  let answers = 0
  return () => (at.includes(++answers) ? { result: 'deferred', code: 'SMTP_DEFERRED', reply } : {})
}

describe('the admission queue in a model of threads, servers, and a blocked event loop', () => {
  afterEach(() => {
    vi.restoreAllMocks()
    vi.unstubAllGlobals()
  })

  const ms = fc.integer({ min: 0, max: 3_000 })
  const rate = fc.option(fc.integer({ min: 2, max: 500 }), { nil: undefined })
  const scenario = fc.record({
    seed: fc.integer(),
    capacity: fc.integer({ min: 1, max: 12 }),
    transaction: fc.integer({ min: 1, max: 120 }),
    rates: fc.tuple(rate, rate),
    domainConcurrency: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    arrivals: fc.array(
      fc.record({
        at: ms,
        count: fc.integer({ min: 1, max: 150 }),
        priority: fc.integer({ min: 0, max: 9 }),
        transport: fc.constantFrom('a', 'b'),
        domains: fc.integer({ min: 1, max: 4 }),
      }),
      { minLength: 1, maxLength: 8 },
    ),
    blocks: fc.array(fc.record({ at: ms, ms: fc.integer({ min: 5, max: 120 }) }), { maxLength: 30 }),
    cancels: fc.array(fc.record({ at: ms, which: fc.nat() }), { maxLength: 20 }),
    lift: fc.option(fc.record({ at: ms, rate }), { nil: undefined }),
  })

  it('never exceeds the slots or a limit, uses up every limit, and forgets no message', async () => {
    await fc.assert(
      fc.asyncProperty(
        scenario,
        async ({ rates, domainConcurrency, arrivals, blocks, cancels, lift, ...world }) => {
          const budget = domainConcurrency === undefined ? {} : { domainConcurrency }
          const routes = (['a', 'b'] as const).map((name, index) => {
            const rate = rates[index]
            return { name, budget: rate === undefined ? budget : { ...budget, rate }, failover: [] }
          })
          let mostToADomain = 0
          const { time, queue, dispatcher, runner, observed } = await worldOf({
            ...world,
            routes,
            answer: () => {
              const to = [...observed.underWay].map(
                ({ transport, recipients }) => `${transport} ${recipients[0]?.split('@')[1]}`,
              )
              for (const one of to)
                mostToADomain = Math.max(mostToADomain, to.filter((other) => other === one).length)
              return {}
            },
          })
          const ids: string[] = []
          const cancelled = new Set<string>()
          const start = time.now
          for (const { at, count, priority, transport, domains } of arrivals)
            time.at(start + at, () => {
              const jobs = Array.from({ length: count }, (_, index) =>
                jobOf({ transport, priority, to: [{ address: `ada@d${index % domains}.example` }] }),
              )
              ids.push(...jobs.map(({ id }) => id))
              void queue.enqueue(jobs)
            })
          for (const { at, ms } of blocks) time.at(start + at, () => time.block(ms))
          for (const { at, which } of cancels)
            time.at(start + at, () => {
              const id = ids[which % Math.max(1, ids.length)]
              if (id === undefined) return
              queue.act(id, cancelManually).then(
                () => cancelled.add(id),
                () => undefined,
              )
            })
          if (lift !== undefined)
            time.at(start + lift.at, () => {
              const rate = lift.rate === undefined ? {} : { rate: lift.rate }
              dispatcher.transports.reloaded({ name: 'a', budget: { ...budget, ...rate }, failover: [] })
            })

          await time.pass(start + 3_000)
          const total = arrivals.reduce((sum, { count }) => sum + count, 0)
          const settled = async () => {
            const { sent, cancelled } = await queue.stats()
            return sent + cancelled
          }
          // As long as it takes at half of each limit, with what the machine adds.
          const each = 1.5 * world.transaction + 60
          const slowest = Math.min(...rates.map((rate) => rate ?? Infinity), lift?.rate ?? Infinity)
          const perMessage =
            (1_000 + each) / slowest + each / world.capacity + (domainConcurrency === undefined ? 0 : each)
          let left = 0
          for (const until = time.now + 3_000 + 2 * total * perMessage; time.now < until;) {
            left = total - (await settled())
            if (left === 0) break
            await time.pass(time.now + 100)
          }

          expect(left).toBe(0)
          const stats = await queue.stats()
          expect(stats).toMatchObject({ cancelled: cancelled.size, sent: total - cancelled.size })
          expect(observed.broken).toEqual([])
          expect(runner.slots.free).toBe(runner.slots.capacity)
          expect(dispatcher.slots).toBe(runner.slots.capacity)
          expect(mostToADomain).toBeLessThanOrEqual(domainConcurrency ?? Infinity)
          rates.forEach((rate, index) => {
            const name = index === 0 ? 'a' : 'b'
            if (rate === undefined || (name === 'a' && lift !== undefined)) return
            expect(mostInASecond(observed.envelopes.get(name) ?? [])).toBeLessThanOrEqual(rate)
            expect(mostInASecond(observed.dots.get(name) ?? [])).toBeLessThanOrEqual(rate)
          })
          await queue.close()
          dispatcher.close()
          vi.restoreAllMocks()
          vi.unstubAllGlobals()
        },
      ),
      { numRuns: 60 },
    )
  })

  /** Sends so many, and lets time pass until all are sent. @returns how many ms that took */
  async function drain(
    world: Awaited<ReturnType<typeof worldOf>>,
    count: number,
    atMost: number,
  ): Promise<number> {
    const { time, queue } = world
    const start = time.now
    await queue.enqueue(Array.from({ length: count }, () => jobOf({ transport: 'a' })))
    for (const end = start + atMost; time.now < end;) {
      await time.pass(time.now + 50)
      if ((await queue.stats()).sent === count) break
    }
    expect(await queue.stats()).toMatchObject({ sent: count })
    return time.now - start
  }

  it.each([
    ['lifted', {}, 5_000],
    ['raised', { rate: 500 }, 9_000],
  ])(
    'sends a backlog at once when its limit is %s, no matter which time each message was assigned',
    async (_, budget, atMost) => {
      const routes = [{ ...plain('a'), budget: { rate: 5 } }]
      const world = await worldOf({ seed: 1, capacity: 10, transaction: 5, routes })
      world.time.at(world.time.now + 2_000, () =>
        world.dispatcher.transports.reloaded({ ...plain('a'), budget }),
      )
      await drain(world, 3_000, atMost)
      await world.queue.close()
    },
  )

  it('slows down for only a few seconds after a throttling reply, and stores each waiting message about once', async () => {
    const answer = throttling({ code: 421, enhanced: '4.7.0', text: '4.7.0 Too many connections' }, [3])
    const world = await worldOf({ seed: 2, capacity: 10, transaction: 5, routes: [plain('a')], answer })
    await drain(world, 3_000, 25_000)
    expect(world.slowed).toEqual([expect.any(Number)])
    expect(world.slowed[0]).toBeGreaterThanOrEqual(50)
    expect(world.held.length).toBeGreaterThan(1_000)
    expect(world.held.length).toBeLessThan(4_500)
    expect(world.dispatcher.transports.statuses()[0]).not.toHaveProperty('rate')
    await world.queue.close()
  })

  it('follows a rate that recovers, without waiting for the times that were assigned at the lower rate', async () => {
    const answer = throttling({ code: 450, enhanced: '4.7.1', text: '4.7.1 Too much mail' }, [1, 2, 3])
    const routes = [{ ...plain('a'), budget: { rate: 200 } }]
    const world = await worldOf({ seed: 3, capacity: 10, transaction: 5, routes, answer })
    // 100 a second, and 10 more with each second: 10.3 s for 1,500.
    expect(await drain(world, 1_500, 14_000)).toBeGreaterThan(7_500)
    await world.queue.close()
  })
})
