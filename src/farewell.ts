import { BroadcastChannel } from 'node:worker_threads'
import type { ControlMessage } from './wire.js'

/** A little more than a thread itself allows its sessions, in ms. */
const PATIENCE = 2_000

/** Asks the threads to end their SMTP sessions with QUIT: Piscina itself ends a thread without a word. */
export class Farewell {
  readonly #name: string

  constructor(name: string) {
    this.#name = name
  }

  /** Resolves when that many threads are done, or after two seconds. */
  async say(threads: number): Promise<void> {
    if (threads === 0) return
    const channel = new BroadcastChannel(this.#name)
    const gone = new Set<number>()
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE)
      channel.onmessage = ({ data }: { data: unknown }) => {
        const message = data as ControlMessage
        if (message.kind === 'gone' && gone.add(message.thread).size === threads) resolve()
      }
      channel.postMessage({ kind: 'quit' } satisfies ControlMessage)
    })
    clearTimeout(timer)
    channel.close()
  }
}
