import { once } from 'node:events'
import { startInbox } from 'threadpost/testing'
import { describe, expect, test } from 'vitest'
import { useVisitedInbox } from '../support/visitedInbox.js'

const house = useVisitedInbox()

describe('waiting', () => {
  test('resolves to a message that is there already or that arrives later', async () => {
    const early = house.inbox.waitFor({ to: 'BOB@b.example', subject: /^Wel/ })
    await house.deliver('bob@b.example', 'Reset')
    await house.deliver('bob@b.example', 'Welcome')
    expect((await early).subject).toBe('Welcome')
    expect((await house.inbox.waitFor({ to: /bob/ })).subject).toBe('Reset')
    expect((await house.inbox.waitFor({ subject: 'Welcome', timeout: 10 })).envelope.to).toEqual([
      'bob@b.example',
    ])
  })

  test('names the messages that arrived instead when it times out', async () => {
    await house.deliver('bob@b.example', 'Hello')
    await expect(house.inbox.waitFor({ to: 'eve@b.example', subject: 'Hi', timeout: 30 })).rejects.toThrow(
      "No message to eve@b.example with the subject 'Hi' arrived within 30 ms. The latest of 1 in the inbox: 'Hello' to bob@b.example",
    )
  })

  test('rejects when the inbox closes', async () => {
    const waiting = house.inbox.waitFor({ to: 'nobody@b.example' })
    const refused = expect(waiting).rejects.toThrow('closed')
    await house.inbox.close()
    await refused
  })

  test('is notified of new messages, and finds none after clear()', async () => {
    const ids: string[] = []
    house.inbox.on('received', ({ id }) => ids.push(id))
    await house.deliver()
    expect(ids).toEqual(house.inbox.stored().map(({ id }) => id))
    house.inbox.clear()
    expect([house.inbox.count, house.inbox.stored(), house.inbox.connections()]).toEqual([0, [], []])
  })
})

describe('close', () => {
  test('destroys connections in every state and frees the port', async () => {
    const idle = await house.upTo('mail')
    const midway = await house.upTo('dot')
    house.inbox.faults.set([{ at: 'mail', do: 'silence' }])
    const silent = await house.upTo('mail')
    silent.say('MAIL FROM:<a@a.example>')
    house.inbox.faults.set([{ at: 'mail', do: 'delay', ms: 3_600_000 }])
    const delayed = await house.upTo('mail')
    delayed.say('MAIL FROM:<a@a.example>')
    house.inbox.faults.set([{ at: 'connect', do: 'delay', ms: 3_600_000 }])
    const early = house.connect()
    const asked = () =>
      house.inbox.connections().filter(({ commands }) => commands.at(-1)?.startsWith('MAIL'))
    await expect.poll(() => asked().length).toBe(2)
    await expect.poll(() => house.inbox.connections().length).toBe(5)

    await house.inbox.close()
    for (const client of [idle, midway, silent, delayed, early]) await client.closed()
    await house.inbox.close()

    const { port } = house.inbox
    house.inbox = await startInbox({ port })
    expect(house.inbox.url).toBe(`smtp://127.0.0.1:${port}`)
  })

  test('waits for none that came while it was closing', async () => {
    const client = house.connect()
    // The server hears of it in the same turn of the event loop, or in the next.
    await once(client.socket, 'connect')
    await house.inbox.close()
    await client.closed()
  })

  test('a port in use is an error', async () => {
    await expect(startInbox({ port: house.inbox.port })).rejects.toThrow('EADDRINUSE')
  })
})
