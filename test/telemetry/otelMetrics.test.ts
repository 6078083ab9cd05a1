import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { afterEach, expect, it } from 'vitest'
import { MAIL } from '../support/api.js'
import { mailerWithInbox } from '../support/mailer.js'

/** An SDK that exports on demand. */
function sdk() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  // It is never due: the test collects.
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 2 ** 30 })
  metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }))
  /** The points of each metric. Points of histograms are their counts. */
  return async () => {
    exporter.reset()
    await reader.forceFlush()
    const found = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics)
    const all = found.flatMap((scope) => (scope.scope.name === 'threadpost' ? scope.metrics : []))
    return Object.fromEntries(
      all.map(({ descriptor, dataPoints }) => [
        `${descriptor.name} ${descriptor.unit}`,
        (dataPoints as DataPoint<number | Histogram>[]).map(({ attributes, value }) => ({
          ...attributes,
          value: typeof value === 'number' ? value : value.count,
        })),
      ]),
    )
  }
}
afterEach(() => metrics.disable())

const system = { 'messaging.system': 'threadpost' }
const destination = { 'messaging.destination.name': 'default' }
const operation = (name: string) => ({
  ...system,
  'messaging.operation.name': name,
  'messaging.operation.type': name,
})

it('a meter provider gets what is accepted, attempted, settled, and reported, and the state of the queue', async () => {
  const collect = sdk()
  const { mailer } = await mailerWithInbox(
    { threads: 0 },
    { faults: [{ at: 'rcpt', do: 'defer', times: 1 }] },
  )
  const { id } = await mailer.sendAndWait(MAIL)
  await mailer.report({ id, recipient: MAIL.to, state: 'bounced', at: new Date().toISOString() })
  await mailer.send({ ...MAIL, delay: 3_600_000 })
  expect(await collect()).toEqual({
    'messaging.client.sent.messages {message}': [{ ...operation('send'), ...destination, value: 2 }],
    'messaging.process.duration s': [
      { ...operation('process'), ...destination, 'error.type': 'SMTP_DEFERRED', value: 1 },
      { ...operation('process'), ...destination, value: 1 },
    ],
    'threadpost.message.duration s': [{ ...system, ...destination, 'threadpost.status': 'sent', value: 1 }],
    'threadpost.delivery.reports {recipient}': [
      { ...system, ...destination, 'threadpost.delivery.state': 'bounced', value: 1 },
    ],
    'threadpost.queue.messages {message}': [
      { ...system, 'threadpost.status': 'queued', value: 1 },
      { ...system, 'threadpost.status': 'sending', value: 0 },
      { ...system, 'threadpost.status': 'deferred', value: 0 },
      { ...system, 'threadpost.status': 'held', value: 0 },
    ],
    'threadpost.queue.oldest s': [{ ...system, value: 0 }],
  })
  await mailer.close({ deadline: 0 })
  // Others are still collected.
  expect(await collect()).toHaveProperty(['threadpost.message.duration s'])
})

it('a provider that is registered later, or replaced, gets what happens from then on', async () => {
  const { mailer } = await mailerWithInbox({ threads: 0 })
  await mailer.sendAndWait(MAIL)
  for (let count = 0; count < 2; count++) {
    metrics.disable()
    const collect = sdk()
    // The API is loaded with the first message.
    await expect
      .poll(async () => {
        await mailer.sendAndWait(MAIL)
        return Object.keys(await collect())
      })
      .toContain('threadpost.message.duration s')
    expect((await collect())['threadpost.queue.oldest s']).toHaveLength(1)
  }
})
