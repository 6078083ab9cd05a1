import type { Registry } from 'prom-client'
import type { Mailer } from '../mailer.js'

export interface MetricsOptions {
  /** What the names begin with. @default 'threadpost_' */
  prefix?: string
  /** Where the metrics go. @default a registry of their own */
  registry?: Registry
}

/**
 * Everything that is known of a mailer as metrics of prom-client: accepted and settled messages, the queue, threads,
 * event loop, breakers, latencies and commits. Nothing global is touched: two mailers have two registries, or share one
 * with different prefixes. A mailer that is closed yields `…_up 0` and nothing else.
 *
 * With a registry of your own: `await metricsRegistry(mailer, { registry: register })`.
 */
export async function metricsRegistry(mailer: Mailer, options: MetricsOptions = {}): Promise<Registry> {
  // Loaded by who asks for it: most processes have metrics of their own, or none.
  const { Registry, registerMetrics } = await import('./metrics.js')
  const { prefix = 'threadpost_', registry = new Registry() } = options
  registerMetrics(registry, prefix, () => mailer.stats())
  return registry
}
