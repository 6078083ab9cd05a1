import { TransportQueue, type WaitingMessage } from './transportQueue.js'
import type { TransportState } from './transportState.js'

/** Where slots are reserved: as the runner has them. */
interface SlotSource {
  readonly capacity: number
  readonly free: number
  reserve(): number | undefined
  release(slot: number): void
}

/**
 * Makes messages due that the queue holds for a route's budget.
 * @param most how many at most
 * @returns how many it woke
 */
export type WakeHeld = (route: TransportState, most: number) => Promise<number>

/** As long as more than this share of the slots is free, messages are made ready before their time. */
const SPARE = 0.5
/** While a limit may rise by itself, or the queue holds messages for it, it is looked at again after so many ms. */
const LOOK = 1_000

/**
 * Where messages wait for their turn: for a transport's budget, or for a slot. The higher priority goes first, whenever
 * it came. Only as many as go within the next seconds wait for a budget here, without a slot; who has no place is told
 * when to come back, so that the queue always hands out further, to other transports and to higher priorities, and each
 * message is stored about once for its waiting, however long that is.
 *
 * Invariants: a message goes with a slot that is reserved at that moment. It is in a room, or it has been told to go or to
 * come back, before any other code runs. While messages wait, something is due that looks at them again: a slot or leave that
 * will be given back, or the room's timer.
 */
export class AdmissionQueue {
  readonly #rooms = new Map<TransportState | undefined, TransportQueue>()
  readonly #slots: SlotSource
  readonly #wake: WakeHeld
  #size = 0
  #forBudget = 0
  #closed = false

  constructor(slots: SlotSource, wake: WakeHeld) {
    this.#slots = slots
    this.#wake = wake
  }

  /** Messages that wait here. */
  get size(): number {
    return this.#size
  }

  /** Of those, the ones that wait for a budget: they need no slot, so that the queue may hand out as many more. */
  get waitingForBudget(): number {
    return this.#forBudget
  }

  /** A message waits here until it goes or is sent away; either may be before this returns. */
  add(route: TransportState | undefined, visitor: WaitingMessage): void {
    if (this.#closed) {
      visitor.postpone(0)
      return
    }
    const room = this.#roomOf(route)
    room.add(visitor)
    this.#size++
    if (visitor.forBudget) this.#forBudget++
    this.#admit(room)
    if (!room.full) return
    const last = room.evictLast()
    if (last === undefined) return
    this.#left(last.visitor)
    last.visitor.postpone(last.again)
  }

  /** Something was given back, or a slot is free. */
  advance(): void {
    if (this.#size === 0) return
    for (const [route, room] of [...this.#rooms]) {
      if (room.size === 0 || !this.#admit(room)) continue
      // Where slots are scarce, the next one is another transport's.
      this.#rooms.delete(route)
      this.#rooms.set(route, room)
    }
  }

  /** The route's limit may have risen: messages go that may, and more are asked back from the queue. */
  recheck(route: TransportState): void {
    if (!this.#closed) this.#admit(this.#roomOf(route))
  }

  /** Takes a message back. @returns whether it was here */
  cancel(id: string): boolean {
    for (const room of this.#rooms.values()) {
      const visitor = room.remove(id)
      if (visitor === undefined) continue
      this.#left(visitor)
      visitor.postpone(0)
      return true
    }
    return false
  }

  /** Everybody leaves, and whoever still comes; they are due again at once. */
  close(): void {
    this.#closed = true
    this.#size = this.#forBudget = 0
    for (const room of this.#rooms.values()) {
      clearTimeout(room.timer)
      for (const visitor of room.clear()) visitor.postpone(0)
    }
  }

  /** Lets those go that may, and sees to it that the others are looked at again. @returns whether anybody went */
  #admit(room: TransportQueue): boolean {
    const before = room.size
    const wait = this.#letGo(room)
    const went = room.size < before
    this.#askBack(room)
    const risesByItself = room.size > 0 && room.transport?.slowed === true
    const next = Math.min(wait, risesByItself || room.mayHoldMore ? LOOK : Infinity)
    clearTimeout(room.timer)
    if (next < Infinity && !this.#closed)
      room.timer = setTimeout(() => this.#admit(room), Math.ceil(next)).unref()
    return went
  }

  /** @returns after how many ms the next may go; `Infinity` for when a slot or leave is given back */
  #letGo(room: TransportQueue): number {
    const slots = this.#slots
    for (let index = 0; index < room.size;) {
      const visitor = room.at(index)!
      const spare = slots.free > slots.capacity * SPARE
      const slot = slots.reserve()
      if (slot === undefined) return Infinity
      const leave = room.transport?.acquire(visitor.domains, spare)
      if (leave === undefined || typeof leave === 'object') {
        room.removeAt(index)
        this.#left(visitor)
        visitor.start(slot, leave)
        continue
      }
      slots.release(slot)
      if (leave !== 'domain') return leave
      index++
    }
    return Infinity
  }

  #askBack(room: TransportQueue): void {
    const { transport } = room
    const vacancies = room.vacancies()
    if (transport === undefined || vacancies === 0) return
    room.requested()
    // What is woken may come at once, and this turn has begun with those who are here.
    queueMicrotask(() => {
      this.#wake(transport, vacancies).then(
        (woken) => {
          room.woken(woken, vacancies)
          if (!this.#closed) this.#admit(room)
        },
        () => {
          // The queue can't be asked just now.
          room.woken(0, 0)
          if (!this.#closed) this.#admit(room)
        },
      )
    })
  }

  #left(visitor: WaitingMessage): void {
    this.#size--
    if (visitor.forBudget) this.#forBudget--
  }

  #roomOf(route: TransportState | undefined): TransportQueue {
    let room = this.#rooms.get(route)
    if (room === undefined) this.#rooms.set(route, (room = new TransportQueue(route)))
    return room
  }
}
