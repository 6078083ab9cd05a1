import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

const root = path.resolve(import.meta.dirname, '../..')
/** The command's script. */
export const main = path.join(root, 'dist/src/cli/main.js')
export const environment = { PATH: process.env['PATH'], THREADPOST_FROM: 'Acme <hello@acme.example>' }

/** `threadpost serve` on a free port, with the URL it prints. Killed when the test ends, if it still runs. */
export async function serve(env: Record<string, string>): Promise<{ process: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [main, 'serve'], {
    cwd: root,
    env: { ...environment, PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /running at (\S+)/.exec(line)?.[1]
    if (url !== undefined) {
      child.stdout.resume()
      return { process: child, url }
    }
  }
  throw new Error('it did not start')
}

/** Hands the service a mail. */
export function post(url: string, mail: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/mail/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(mail),
  })
}
