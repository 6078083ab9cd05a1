import type { Logger } from './logging/logger.js'
import { hideSecrets } from './logging/secrets.js'
import type { ArchivePlace } from './protocol/archiveCell.js'
import { PhaseBoard } from './protocol/phaseBoard.js'
import { PulseBoard } from './protocol/pulseBoard.js'
import type { ThreadLogLine, ThreadSetup } from './protocol/tasks.js'
import type { TransportConfig } from './protocol/transportConfig.js'
import { journalFileOf } from './queue/openQueue.js'
import type { ResolvedOptions } from './resolvedOptions.js'
import type { Events } from './telemetry/events.js'
import type { Metrics } from './telemetry/metrics.js'
import { PoolManager } from './threads/poolManager.js'
import type { Runner } from './threads/runner.js'
import { RunnerHub, type ThreadListener } from './threads/runnerHub.js'
import { InFlightWindow } from './threads/slotPool.js'
import { ThreadRunner } from './threads/threadRunner.js'
import { DisabledRunner, InlineRunner } from './threads/threadlessRunners.js'
import { Watchdog } from './threads/watchdog.js'

/** The parts of a mailer that its runner reports to, and its transports. */
export interface RunnerContext {
  options: ResolvedOptions
  transports: TransportConfig[]
  events: Events
  metrics: Metrics
  /** Names the files of this mailer. */
  token: string
  archive: ArchivePlace | undefined
}

/** Creates the runner of a mailer: threads of its own, the calling thread, or nothing for a mailer that only sends. */
export function createRunner({
  options,
  transports,
  events,
  metrics,
  token,
  archive,
}: RunnerContext): Runner {
  const { threads, concurrency, logger } = options
  const listener = listenerOf(logger, events, metrics)
  if (options.role === 'send')
    return new DisabledRunner(options.templates, (line) => listener.logged(0, line))
  const journal = journalFileOf(options.queue, token)
  const setup: ThreadSetup = {
    ...setupOf(options, transports, concurrency),
    ...(journal === undefined ? {} : { journal }),
    ...(archive === undefined ? {} : { archive }),
    ...(options.templates === undefined ? {} : { templates: options.templates }),
  }
  if (threads === 0) return new InlineRunner(setup, concurrency, (line) => listener.logged(0, line))
  return threadRunnerOf(options, setup, concurrency, listener)
}

/** Mailers that share a runner, at most. Each has slots of its own, so that none waits for another's slow server. */
const MAX_SHARING = 100
/** The runners that mailers of this process share, by the settings of their threads. */
const hubs = new Map<string, RunnerHub>()

/**
 * Returns a share of a runner whose threads serve other mailers too. A mailer has a runner of its own if its threads need
 * something of its own: templates, a journal, an archive, or a transport that loads packages.
 */
export function shareRunner(context: RunnerContext): Runner {
  const { options, transports } = context
  const { threads, concurrency, niceness, limits, queue, role, templates, logger } = options
  const plain = transports.every(({ kind }) => kind === 'smtp' || kind === 'file')
  const own = templates !== undefined || context.archive !== undefined
  if (threads === 0 || !plain || queue.kind !== 'memory' || role !== 'both' || own)
    return createRunner(context)
  const { start, render, load, compile, attempt, threadMemory, recipients } = limits
  const sizes = { threads, concurrency, niceness }
  const key = JSON.stringify({ ...sizes, start, render, load, compile, attempt, threadMemory, recipients })
  let hub = hubs.get(key)
  if (hub === undefined || hub.size >= MAX_SHARING) {
    const slots = concurrency * MAX_SHARING
    hub = new RunnerHub(threads * concurrency, (all, listener) =>
      threadRunnerOf(options, setupOf(options, all, slots), slots, listener),
    )
    hubs.set(key, hub)
  }
  return hub.share(transports, listenerOf(logger, context.events, context.metrics))
}

/** @param concurrency deliveries at a time in each thread, of all mailers that share it */
function setupOf(options: ResolvedOptions, transports: TransportConfig[], concurrency: number): ThreadSetup {
  const { limits, niceness } = options
  const threads = Math.max(1, options.threads)
  return {
    board: PhaseBoard.allocate(InFlightWindow.maxSize(threads * concurrency) + threads, limits.recipients),
    pulses: PulseBoard.allocate(PoolManager.places(options.threads)),
    beat: Watchdog.interval(limits.render),
    recipientsPerSlot: limits.recipients,
    transports: new Map(transports.map((transport) => [transport.name, transport])),
    loadTimeout: limits.load,
    messageLimit: limits.message,
    attemptTimeout: limits.attempt,
    compileLimit: limits.compile,
    niceness,
    connections: options.concurrency,
    threads,
  }
}

function threadRunnerOf(
  { threads, limits }: ResolvedOptions,
  setup: ThreadSetup,
  concurrency: number,
  listener: ThreadListener,
): ThreadRunner {
  return new ThreadRunner({
    setup,
    threads,
    concurrency,
    startLimit: limits.start,
    renderLimit: limits.render,
    compileLimit: limits.compile,
    attemptLimit: Math.max(limits.attempt, limits.load),
    memory: limits.threadMemory,
    describe: (reason) => quote(hideSecrets(reason)),
    ...listener,
  })
}

function listenerOf(logger: Logger, events: Events, metrics: Metrics): ThreadListener {
  return {
    logged: (thread: number, { level, fields, message }: ThreadLogLine) => {
      logger[level]({ ...fields, thread }, message)
    },
    held: ({ reason, deaths, retryAt }) => {
      logger.error(
        { reason, deaths, retryAt: new Date(retryAt).toISOString() },
        'Mail is held: worker threads crash repeatedly, and no message causes it',
      )
    },
    released: (lasted) => {
      logger.info({ lasted }, 'Worker threads run again, and mail is sent')
    },
    started: (thread) => {
      events.emit('thread-started', () => ({ thread }))
    },
    died: (thread, reason) => {
      metrics.threadRestarted()
      logger.warn({ thread, reason }, 'A worker thread died')
      events.emit('thread-died', () => ({ thread, reason }))
    },
  }
}

/** The first line, at most 100 characters. */
function quote(text: string): string {
  const line = text.split('\n')[0] ?? ''
  return line.length > 100 ? `${line.slice(0, 99)}…` : line
}
