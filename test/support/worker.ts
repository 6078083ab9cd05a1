import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { environment, main } from './serve.js'

/** `threadpost worker`, once it delivers. Killed when the test ends, if it still runs. */
export async function startWorker(
  flags: string[],
  env: Record<string, string> = {},
): Promise<{ process: ChildProcess; said: string[] }> {
  const child = spawn(process.execPath, [main, 'worker', ...flags], {
    cwd: path.dirname(main),
    env: { ...environment, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })
  const said: string[] = []
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => said.push(line))
  while (!said.some((line) => line.includes('is delivering'))) {
    if (child.exitCode !== null) throw new Error(`the worker ended: ${said.join('\n')}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return { process: child, said }
}
