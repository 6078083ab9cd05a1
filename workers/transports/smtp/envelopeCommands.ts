/** The commands of one session's current envelope that are still to be written. */
export class EnvelopeCommands {
  readonly #pipelining: boolean
  #commands: string[] = []
  /** The server holds a transaction without a message: RSET must precede the next envelope. */
  needsReset = false
  /** RSET was written, and its reply is the next one. */
  awaitsReset = false

  /** @param pipelining all commands are one write; otherwise each waits for the reply to the one before */
  constructor(pipelining: boolean) {
    this.#pipelining = pipelining
  }

  /** Begins an envelope. Returns the commands to write now. */
  begin(commands: string[]): Buffer {
    this.#commands = commands
    if (this.needsReset) {
      this.needsReset = false
      this.awaitsReset = true
      this.#commands.unshift('RSET\r\n')
    }
    return this.next() ?? Buffer.alloc(0)
  }

  /** Returns the commands to write now; undefined if all were written. */
  next(): Buffer | undefined {
    if (this.#commands.length === 0) return undefined
    const text = this.#pipelining ? this.#commands.splice(0).join('') : (this.#commands.shift() ?? '')
    return Buffer.from(text, 'utf8')
  }

  /** Drops the remaining recipients: DATA, the last command, comes next. */
  skipToData(): void {
    this.#commands.splice(0, this.#commands.length - 1)
  }
}
