import type { Leave, Route } from './route.js'

/** What became of waiting: the message may go, must wait elsewhere, or nobody wants it any more. */
export type Turn = { go: true; leave: Leave } | { go: false; again: number }

interface Waiting {
  id: string
  priority: number
  domains: readonly string[]
  resolve(turn: Turn): void
}

/** Seconds' worth of messages that wait here, and how many at least and at most. */
const SECONDS = 2
const FEWEST = 4
const MOST = 1_000
/** Where only domains are limited. */
const BY_DOMAIN = 200
/** As long as more than this share of the slots is free, messages are made ready before their time. */
const SPARE = 0.5
/** A message isn't sent away for longer than this, in ms. */
const LONGEST = 15 * 60_000

/**
 * Where messages wait for their turn when a transport's budget is what is scarce: the higher priority goes first,
 * whenever it came. Only as many as go within the next seconds wait here, without a slot; who has no place is told
 * when to come back, so that the queue always hands out further, to other transports and to higher priorities, and each
 * message is stored about once for its waiting, however long that is.
 */
export class Turnstile {
  readonly #rooms = new Map<Route, Room>()
  readonly #slots: () => number
  #waiting = 0

  /** @param slots how many are free, as a share of all: none goes without */
  constructor(slots: () => number) {
    this.#slots = slots
  }

  get waiting(): number {
    return this.#waiting
  }

  enter(route: Route, id: string, priority: number, domains: readonly string[]): Promise<Turn> {
    return new Promise((resolve) => {
      const room = this.#roomOf(route)
      room.add({ id, priority, domains, resolve })
      this.#waiting++
      this.#admit(room)
      if (room.full) this.#sendAway(room)
    })
  }

  /** Something was given back, or a slot is free. */
  advance(): void {
    for (const room of this.#rooms.values()) this.#admit(room)
  }

  /** Takes a message back. @returns whether it was here */
  cancel(id: string): boolean {
    for (const room of this.#rooms.values()) {
      const waiting = room.remove(id)
      if (waiting === undefined) continue
      this.#waiting--
      waiting.resolve({ go: false, again: 0 })
      return true
    }
    return false
  }

  /** Everybody leaves; they are due again at once. */
  close(): void {
    for (const room of this.#rooms.values()) {
      clearTimeout(room.timer)
      for (const waiting of room.waiting.splice(0)) waiting.resolve({ go: false, again: 0 })
    }
    this.#waiting = 0
  }

  #admit(room: Room): void {
    clearTimeout(room.timer)
    for (let index = 0; index < room.waiting.length && this.#slots() > 0;) {
      const waiting = room.waiting[index]!
      const leave = room.route.take(waiting.domains, this.#slots() > SPARE)
      if (leave === 'domain') {
        index++
      } else if (typeof leave === 'number') {
        if (leave < Infinity) room.timer = setTimeout(() => this.#admit(room), Math.ceil(leave))
        return
      } else {
        room.waiting.splice(index, 1)
        room.left()
        this.#waiting--
        waiting.resolve({ go: true, leave })
      }
    }
  }

  #sendAway(room: Room): void {
    const last = room.waiting.pop()
    if (last === undefined) return
    this.#waiting--
    last.resolve({ go: false, again: room.placeLater() })
  }

  #roomOf(route: Route): Room {
    let room = this.#rooms.get(route)
    if (room === undefined) this.#rooms.set(route, (room = new Room(route)))
    return room
  }
}

/** Who waits for one transport, in the order in which they go. */
class Room {
  readonly route: Route
  readonly waiting: Waiting[] = []
  timer: NodeJS.Timeout | undefined
  /** Milliseconds from one that went to the next, while there were any. */
  #pace = 1
  #lastLeft: number | undefined
  /** When the last who was sent away is to come back, on `performance.now()`'s clock. */
  #horizon = 0

  constructor(route: Route) {
    this.route = route
  }

  get full(): boolean {
    const { rate } = this.route
    const places = rate === Infinity ? BY_DOMAIN : Math.min(MOST, Math.max(FEWEST, Math.ceil(rate * SECONDS)))
    return this.waiting.length > places
  }

  add(waiting: Waiting): void {
    let at = this.waiting.length
    while (at > 0 && this.waiting[at - 1]!.priority < waiting.priority) at--
    this.waiting.splice(at, 0, waiting)
  }

  remove(id: string): Waiting | undefined {
    const at = this.waiting.findIndex((waiting) => waiting.id === id)
    return at < 0 ? undefined : this.waiting.splice(at, 1)[0]
  }

  left(): void {
    const now = performance.now()
    if (this.#lastLeft !== undefined)
      this.#pace = Math.min(1_000, 0.9 * this.#pace + 0.1 * (now - this.#lastLeft))
    this.#lastLeft = this.waiting.length === 0 ? undefined : now
  }

  /**
   * Milliseconds until there will be a place: each who is sent away is told to come as much later as one takes to go,
   * the first when half of those who wait have gone.
   */
  placeLater(): number {
    const now = performance.now()
    const each = Math.max(this.#pace, 1_000 / this.route.rate)
    this.#horizon = Math.max(this.#horizon, now + (this.waiting.length * each) / 2) + each
    const wait = this.#horizon - now
    if (wait <= LONGEST) return wait
    this.#horizon -= each
    return LONGEST * (0.5 + Math.random() / 2)
  }
}
