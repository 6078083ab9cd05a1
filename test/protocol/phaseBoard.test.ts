import { describe, expect, it } from 'vitest'
import { PhaseBoard } from '../../src/protocol/phaseBoard.js'

describe('the claim on a slot of the phase board', () => {
  const setUp = () => {
    const buffer = PhaseBoard.allocate(2, 50)
    // Two views of one memory, as the main thread and a worker have.
    const main = new PhaseBoard(buffer, 50)
    return { main, thread: new PhaseBoard(buffer, 50), generation: main.assign(1) }
  }

  it('belongs to the thread that commits first', () => {
    const { main, thread, generation } = setUp()
    expect(thread.commit(1, generation)).toBe(true)
    expect(main.withdraw(1, generation)).toBe(false)
    expect(thread.commit(1, generation)).toBe(true)
  })

  it('belongs to the main thread if it withdraws first', () => {
    const { main, thread, generation } = setUp()
    expect(main.withdraw(1, generation)).toBe(true)
    expect(thread.commit(1, generation)).toBe(false)
    expect(main.withdraw(1, generation)).toBe(false)
  })

  it('can be released by the thread, which does not undo a withdrawal', () => {
    const { main, thread, generation } = setUp()
    thread.commit(1, generation)
    thread.release(1, generation)
    expect(main.withdraw(1, generation)).toBe(true)
    thread.release(1, generation)
    expect(thread.commit(1, generation)).toBe(false)
  })

  it('can’t be taken with the generation of an earlier delivery', () => {
    const { main, thread, generation } = setUp()
    const next = main.assign(1)
    expect(thread.commit(1, generation)).toBe(false)
    expect(main.withdraw(1, generation)).toBe(false)
    expect(thread.commit(1, next)).toBe(true)
  })

  it('does not change the other words of the slot', () => {
    const { main, thread, generation } = setUp()
    thread.occupy(1, generation, 7)
    thread.commit(1, generation)
    thread.enter(1, generation, 'body')
    thread.reply(1, generation, 250, ['accepted', 'rejected'])
    expect(main.read(1, 3)).toEqual({
      phase: 'replied',
      thread: 7,
      reply: 250,
      recipients: ['accepted', 'rejected', undefined],
    })
  })
})
