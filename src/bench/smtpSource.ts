import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Unavailable } from './processes.js'

const run = promisify(execFile)
const TRIAL = 1_000

export interface SourceOrder {
  program: string
  transport: string
  connections: number
  /** Of one message. */
  bytes: number
  seconds: number
  signal: AbortSignal | undefined
}

/** Messages a second of Postfix's smtp-source, which renders nothing and sends the same bytes again and again. */
export async function runSmtpSource(order: SourceOrder): Promise<number> {
  const trial = await send(order, TRIAL)
  return send(order, Math.max(TRIAL, Math.round(trial * order.seconds)))
}

async function send(
  { program, transport, connections, bytes, signal }: SourceOrder,
  messages: number,
): Promise<number> {
  const { hostname, port } = new URL(transport)
  const args = ['-d', '-s', `${connections}`, '-m', `${messages}`, '-l', `${bytes}`]
  const mail = ['-f', 'bench@bench.example', '-t', 'user@bench.example']
  const start = performance.now()
  try {
    await run(program, [...args, ...mail, `${hostname}:${port === '' ? 25 : port}`], {
      ...(signal === undefined ? {} : { signal }),
    })
  } catch (error) {
    signal?.throwIfAborted()
    throw new Unavailable(
      `${program}: ${(error as Error).message.split('\n')[1] ?? (error as Error).message}`,
    )
  }
  return messages / ((performance.now() - start) / 1000)
}
