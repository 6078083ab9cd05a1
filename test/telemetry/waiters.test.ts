import type { Message } from 'threadpost'
import { describe, expect, it, vi } from 'vitest'
import { Waiters } from '../../src/telemetry/waiters.js'
import { stopClock } from '../support/stoppedClock.js'

const messageOf = (id: string): Message => ({ id, status: 'sent' }) as Message

describe('Waiters', () => {
  it('resolve every caller that waits for a message, and no other', async () => {
    const waiters = new Waiters()
    const [first, second] = [waiters.wait('a', Infinity), waiters.wait('a', Infinity)]
    const other = waiters.wait('b', Infinity)
    waiters.changed(messageOf('a'))
    expect(await Promise.all([first.settlement, second.settlement])).toEqual([messageOf('a'), messageOf('a')])
    expect([waiters.has('a'), waiters.has('b')]).toEqual([false, true])
    other.giveUp()
    expect(waiters.has('b')).toBe(false)
  })

  it('reject a caller after its own time limit; the others go on waiting', async () => {
    stopClock()
    const waiters = new Waiters()
    const hasty = waiters.wait('a', 1_000).settlement
    const patient = waiters.wait('a', 2_000).settlement
    vi.advanceTimersByTime(1_000)
    await expect(hasty).rejects.toMatchObject({
      code: 'WAIT_TIMEOUT',
      message: expect.stringContaining('1000'),
    })
    expect(waiters.has('a')).toBe(true)
    waiters.changed(messageOf('a'))
    expect(await patient).toEqual(messageOf('a'))
    expect(vi.getTimerCount()).toBe(0)
  })

  it('reject a caller with the reason of its signal, be it aborted before or during the wait', async () => {
    const waiters = new Waiters()
    const reason = new Error('the request was closed')
    await expect(waiters.wait('a', Infinity, AbortSignal.abort(reason)).settlement).rejects.toBe(reason)
    const controller = new AbortController()
    const { settlement } = waiters.wait('a', Infinity, controller.signal)
    controller.abort(reason)
    await expect(settlement).rejects.toBe(reason)
    expect(waiters.has('a')).toBe(false)
  })

  it('reject all callers when the mailer is closed', async () => {
    const waiters = new Waiters()
    const waits = ['a', 'a', 'b'].map((id) => waiters.wait(id, Infinity).settlement)
    waiters.close()
    for (const wait of waits) await expect(wait).rejects.toMatchObject({ code: 'CLOSED' })
    expect([waiters.has('a'), waiters.has('b')]).toEqual([false, false])
  })
})
