import { readlinkSync } from 'node:fs'
import os from 'node:os'

/**
 * Lowers the priority of the calling thread, so that with too few cores the web process is served first. Only Linux
 * has priorities of threads; where it can't be done nothing happens.
 * @param niceness 0 (as the process) to 19 (only what nobody else wants)
 */
export function lowerPriority(niceness: number): void {
  if (niceness === 0 || process.platform !== 'linux') return
  try {
    // PROCESS/task/THREAD
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1))
    os.setPriority(thread, niceness)
  } catch {
    // A container may forbid it.
  }
}
