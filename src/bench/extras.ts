import path from 'node:path'
import { median } from './distribution.js'
import { modesOf } from './modes.js'
import { askChild } from './processes.js'
import { orderOf, type Session } from './rounds.js'
import { measureBacklog } from './scaling.js'
import type { Extra } from './targets.js'

const MILLION = 1_000_000
const STARTS = 3

/** What the targets ask for beside the rounds: a start with compiled templates, and a long queue. */
export async function measureExtras(session: Session, backlog = MILLION): Promise<Extra> {
  const { progress } = session.settings
  progress?.(0, 3, 'start with compiled templates')
  const compiledStart = await startCompiled(session)
  progress?.(1, 3, 'a queue that is empty')
  const { measurement: empty } = await measureBacklog(session, 0)
  progress?.(2, 3, `${backlog} messages in the queue`)
  const { measurement: full } = await measureBacklog(session, backlog)
  progress?.(3, 3, 'done')
  return {
    compiledStart,
    backlog: {
      messages: full.messages,
      growth: (full.rss - full.rssAtTenth) / 2 ** 20,
      rateRatio: full.rate / empty.rate,
    },
  }
}

async function startCompiled(session: Session): Promise<number> {
  const [mode] = modesOf(['memory'], [1])
  if (mode === undefined) throw new Error('memory is a mode')
  const { signal } = session.settings
  const order = orderOf(session, mode)
  const built = path.join(session.stage.folder, 'compiled')
  await askChild<object>('./compiled.js', { from: order.workload.templates, to: built }, { signal })
  const starts: number[] = []
  for (let round = 0; round < STARTS; round++) {
    const compiled = { ...order, workload: { ...order.workload, templates: built } }
    const { start } = await askChild<{ start: number }>('./started.js', compiled, { signal })
    starts.push(start)
  }
  return median(starts)
}
