import type { BatchObservableResult, Counter, Histogram, MeterProvider, Observable } from '@opentelemetry/api'
import type { DeliveryState } from '../feedback/deliveryStates.js'
import { type Attempt, isSettled } from '../message/messageState.js'
import type { QueuedMessage, QueueDriver } from '../queue/driver.js'
import { waitOf } from './metrics.js'
import type { OpenTelemetry } from './openTelemetry.js'

const SYSTEM = { 'messaging.system': 'threadpost' }
const METER = 'threadpost'
/** Statuses of messages that wait. */
const WAITING = ['queued', 'sending', 'deferred', 'held'] as const
/** Bounds in seconds that the semantic conventions recommend for durations of messaging. */
const SHORT = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
/** Bounds in seconds for the life of a message, which may wait for days. */
const LONG = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 3_600, 21_600, 86_400]

/** The instruments of one meter provider. */
interface MessageInstruments {
  provider: MeterProvider
  accepted: Counter
  attempts: Histogram
  lives: Histogram
  reports: Counter
  /** Ends the observation of the queue. */
  stop(): void
}

/**
 * Records metrics with OpenTelemetry, named after its semantic conventions for messaging where they have a name, if a meter provider
 * is registered; costs nothing otherwise.
 *
 * | instrument                       | kind      | unit          | attributes besides `messaging.system`                       |
 * | -------------------------------- | --------- | ------------- | ----------------------------------------------------------- |
 * | `messaging.client.sent.messages` | counter   | `{message}`   | operation `send`, destination                               |
 * | `messaging.process.duration`     | histogram | `s`           | operation `process`, destination, `error.type`              |
 * | `threadpost.message.duration`    | histogram | `s`           | destination, `threadpost.status`, `error.type`              |
 * | `threadpost.delivery.reports`    | counter   | `{recipient}` | destination, `threadpost.delivery.state`                    |
 * | `threadpost.queue.messages`      | gauge     | `{message}`   | `threadpost.status`                                         |
 * | `threadpost.queue.oldest`        | gauge     | `s`           |                                                             |
 *
 * The destination is the transport. All values come from fixed sets, or name the transports.
 */
export class Instruments {
  readonly #telemetry: OpenTelemetry
  #queue: QueueDriver | undefined
  #current: MessageInstruments | undefined

  constructor(telemetry: OpenTelemetry) {
    this.#telemetry = telemetry
  }

  /** Shows the state of a queue until `close()`. */
  observe(queue: QueueDriver): void {
    this.#queue = queue
    this.#instruments()
  }

  close(): void {
    this.#queue = undefined
    this.#current?.stop()
  }

  /** Must be called after each change of status. */
  changed(message: QueuedMessage): void {
    const { job, state, elsewhere } = message
    const accepted = state.status === 'queued' && state.attempts.length === 0
    // Another process counts what it accepts and settles.
    if (elsewhere === true || !(accepted || isSettled(state.status))) return
    const instruments = this.#instruments()
    if (accepted) instruments?.accepted.add(1, { ...operation('send'), ...destination(job.transport) })
    else {
      const last = state.attempts.at(-1)
      instruments?.lives.record(waitOf(message) / 1_000, {
        ...SYSTEM,
        ...destination(last?.transport ?? job.transport),
        'threadpost.status': state.status,
        ...(state.status === 'sent' || last === undefined ? {} : { 'error.type': last.outcome.code }),
      })
    }
  }

  attempted({ job }: QueuedMessage, { start, end, transport, outcome }: Attempt): void {
    this.#instruments()?.attempts.record(Math.max(0, end - start) / 1_000, {
      ...operation('process'),
      ...destination(transport ?? job.transport),
      ...(outcome.result === 'sent' ? {} : { 'error.type': outcome.code }),
    })
  }

  /** Must be called for each recipient of whom a new state was reported. */
  reported({ job, state }: QueuedMessage, reported: DeliveryState): void {
    this.#instruments()?.reports.add(1, {
      ...SYSTEM,
      ...destination(state.attempts.at(-1)?.transport ?? job.transport),
      'threadpost.delivery.state': reported,
    })
  }

  /** The instruments of the provider that is registered now. Those of an earlier one would record nothing. */
  #instruments(): MessageInstruments | undefined {
    const provider = this.#telemetry.get()?.metrics.getMeterProvider()
    if (provider === undefined || this.#queue === undefined) return undefined
    if (this.#current?.provider === provider) return this.#current
    this.#current?.stop()
    return (this.#current = this.#create(provider))
  }

  #create(provider: MeterProvider): MessageInstruments {
    const meter = provider.getMeter(METER)
    const seconds = (name: string, description: string, bounds: number[]): Histogram =>
      meter.createHistogram(name, { description, unit: 's', advice: { explicitBucketBoundaries: bounds } })
    const messages = meter.createObservableGauge('threadpost.queue.messages', {
      description: 'Unsettled messages by status.',
      unit: '{message}',
    })
    const oldest = meter.createObservableGauge('threadpost.queue.oldest', {
      description: 'Waiting time of the oldest due message.',
      unit: 's',
    })
    const gauges: Observable[] = [messages, oldest]
    const observeQueue = async (result: BatchObservableResult): Promise<void> => {
      // A queue that can't be reached has no figures, and must not keep others from being collected.
      const stats = await this.#queue?.stats().catch(() => undefined)
      if (stats === undefined) return
      for (const status of WAITING)
        result.observe(messages, stats[status], { ...SYSTEM, 'threadpost.status': status })
      result.observe(oldest, stats.oldest / 1_000, SYSTEM)
    }
    meter.addBatchObservableCallback(observeQueue, gauges)
    return {
      provider,
      accepted: meter.createCounter('messaging.client.sent.messages', {
        description: 'Messages accepted by the queue.',
        unit: '{message}',
      }),
      attempts: seconds('messaging.process.duration', 'Duration of the attempts.', SHORT),
      lives: seconds(
        'threadpost.message.duration',
        'Time from acceptance, or from the due time of a message, to its settlement.',
        LONG,
      ),
      reports: meter.createCounter('threadpost.delivery.reports', {
        description: 'Recipients by what was reported of them after the next server accepted the message.',
        unit: '{recipient}',
      }),
      stop: () => meter.removeBatchObservableCallback(observeQueue, gauges),
    }
  }
}

function destination(transport: string) {
  return { 'messaging.destination.name': transport }
}

function operation(name: 'send' | 'process') {
  return { ...SYSTEM, 'messaging.operation.name': name, 'messaging.operation.type': name }
}
