import { once } from 'node:events'
import net from 'node:net'
import { onTestFinished } from 'vitest'

/** Milliseconds after which a reply counts as one that never comes. */
const PATIENCE = 240_000

/** A raw TCP client that says what it is told to and remembers every byte it hears. Gone when the test ends. */
export class RawClient {
  readonly socket: net.Socket
  heard = ''
  ended: 'fin' | 'reset' | undefined
  #read = 0

  constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1')
    this.socket.setEncoding('latin1')
    this.socket.on('data', (chunk: string) => (this.heard += chunk))
    this.socket.on('end', () => (this.ended ??= 'fin'))
    this.socket.on('error', () => (this.ended = 'reset'))
    onTestFinished(() => void this.socket.destroy())
  }

  say(...lines: string[]): void {
    this.socket.write(lines.map((line) => `${line}\r\n`).join(''))
  }

  /** The next complete reply, its last line only. */
  async reply(): Promise<string> {
    for (;;) {
      const match = /^(?:\d{3}-.*\r\n)*(\d{3} .*)\r\n/.exec(this.unread)
      if (match) {
        this.#read += match[0].length
        return match[1] ?? ''
      }
      if (this.ended !== undefined)
        throw new Error(`closed (${this.ended}) after ${JSON.stringify(this.heard)}`)
      await this.#more()
    }
  }

  async ask(...lines: string[]): Promise<string> {
    this.say(...lines)
    return this.reply()
  }

  /** Nothing more came for a while, and the connection stands. */
  async hearsNothing(ms = 80): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, ms))
    return this.unread === '' && this.ended === undefined
  }

  async closed(): Promise<'fin' | 'reset'> {
    if (!this.socket.closed) await once(this.socket, 'close').catch(() => undefined)
    return this.ended ?? 'fin'
  }

  get unread(): string {
    return this.heard.slice(this.#read)
  }

  /** Resolves with whatever happens next on the connection. */
  async #more(): Promise<void> {
    const happenings = ['data', 'end', 'error'] as const
    let happened: () => void = () => undefined
    let timer: NodeJS.Timeout | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        happened = resolve
        for (const happening of happenings) this.socket.once(happening, happened)
        timer = setTimeout(() => reject(new Error(`no reply after ${JSON.stringify(this.heard)}`)), PATIENCE)
      })
    } finally {
      clearTimeout(timer)
      for (const happening of happenings) this.socket.off(happening, happened)
    }
  }
}
