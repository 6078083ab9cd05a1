import { readdirSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { mailerWithInbox } from '../support/mailer.js'

/** How nice each thread of this process is (proc(5), field 19). */
function niceness(): number[] {
  return readdirSync('/proc/self/task').map((thread) => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16])
  })
}

it.runIf(process.platform === 'linux')(
  'threads are nicer than the process, unless they are not to be',
  async () => {
    const own = niceness()[0] ?? 0
    const before = niceness().filter((nice) => nice > own).length
    await mailerWithInbox({ threads: 2, niceness: 0 })
    expect(niceness().filter((nice) => nice > own)).toHaveLength(before)
    await mailerWithInbox({ threads: 2 })
    await expect.poll(() => niceness().filter((nice) => nice > own).length).toBe(before + 2)
  },
)
