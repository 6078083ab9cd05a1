import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { onTestFinished } from 'vitest'

/** A process of its own that delivers; killed when the test ends. */
export async function startFleetWorker(options: object): Promise<ChildProcess> {
  const child = fork(path.resolve(import.meta.dirname, 'fleetWorker.mjs'), [JSON.stringify(options)])
  onTestFinished(() => endProcess(child))
  await once(child, 'message')
  return child
}

/** Kills a process, as a crash would end it. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
