import type { ChildTask, RatePoint } from './childProtocol.js'
import type { Mode } from './modes.js'
import { runChild } from './processes.js'
import { atRate, type ModeRates } from './rates.js'
import { runConfigOf, type Session } from './rounds.js'

/**
 * Measures what a message costs at the rates at which applications send, each mode in a process of its own. Returns nothing if
 * the settings have a rate of their own.
 */
export async function measureRates(session: Session, modes: readonly Mode[]): Promise<ModeRates[]> {
  const { rate, progress, signal } = session.settings
  if (rate !== undefined) return []
  const measured = modes.filter(({ family }) => family !== 'smtp-source')
  const results: ModeRates[] = []
  for (const [index, mode] of measured.entries()) {
    progress?.(index, measured.length, `20, 100, and 500 messages per second: ${mode.name}`)
    const task: ChildTask = { task: 'rates', config: { ...runConfigOf(session, mode), http: 0 } }
    const points = await runChild<RatePoint[]>('./child.js', task, { signal })
    results.push({ mode: mode.name, points: points.map(atRate) })
  }
  progress?.(measured.length, measured.length, 'done')
  return results
}
