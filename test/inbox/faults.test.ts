import type { Fault } from 'threadpost/testing'
import { describe, expect, test } from 'vitest'
import { BODY, useVisitedInbox } from '../support/visitedInbox.js'

const house = useVisitedInbox()

const STEPS = ['greeting', 'helo', 'mail', 'rcpt', 'data', 'dot'] as const

const LINES: Record<string, string[]> = {
  connect: [],
  greeting: [],
  helo: ['EHLO client.example'],
  mail: ['MAIL FROM:<ada@a.example>'],
  rcpt: ['RCPT TO:<bob@b.example>'],
  data: ['DATA'],
  dot: BODY,
}

describe.each(STEPS)('faults at %s', (at) => {
  test('refuse and defer send their reply, only once with times: 1', async () => {
    for (const [kind, reply] of [
      ['refuse', '550 5.9.9 Go away'],
      ['defer', '451 4.9.9 Later'],
    ] as const) {
      house.inbox.faults.set([{ at, do: kind, reply, times: 1 }])
      const client = await house.upTo(at)
      if (LINES[at]!.length > 0) client.say(...LINES[at]!)
      expect(await client.reply()).toBe(reply)
      if (at === 'greeting') expect(await client.closed()).toBe('fin')
      expect(house.inbox.count).toBe(0)
      expect(house.inbox.faults.list()).toEqual([])
    }
    await house.deliver()
  })

  test('refuse and defer have a default reply for each step', async () => {
    house.inbox.faults.set([{ at, do: 'refuse' }])
    const first = await house.upTo(at)
    if (LINES[at]!.length > 0) first.say(...LINES[at]!)
    expect(await first.reply()).toMatch(/^5\d\d 5\.\d\.\d \w/)
    house.inbox.faults.set([{ at, do: 'defer' }])
    const second = await house.upTo(at)
    if (LINES[at]!.length > 0) second.say(...LINES[at]!)
    expect(await second.reply()).toMatch(/^4\d\d 4\.\d\.\d \w/)
  })

  test('silence never replies, and the inbox notices when the client disconnects', async () => {
    house.inbox.faults.set([{ at, do: 'silence' }])
    const client = await house.upTo(at)
    client.say(...LINES[at]!, 'NOOP')
    expect(await client.hearsNothing()).toBe(true)
    client.socket.end()
    expect(await client.closed()).toBe('fin')
    expect(house.inbox.count).toBe(0)
  })

  test('close closes the connection without a reply', async () => {
    house.inbox.faults.set([{ at, do: 'close' }])
    const client = await house.upTo(at)
    client.say(...LINES[at]!)
    await client.closed()
    expect(client.unread).toBe('')
    expect(house.inbox.count).toBe(0)
  })

  test('delay waits, then continues', async () => {
    house.inbox.faults.set([{ at, do: 'delay', ms: 120 }])
    const start = performance.now()
    const client = await house.upTo(at)
    if (LINES[at]!.length > 0) client.say(...LINES[at]!)
    expect(await client.reply()).toMatch(/^[23]/)
    expect(performance.now() - start).toBeGreaterThan(115)
  })

  test('drip sends an endless reply', async () => {
    house.inbox.faults.set([{ at, do: 'drip', ms: 5 }])
    const client = await house.upTo(at)
    client.say(...LINES[at]!)
    await expect.poll(() => client.unread, { interval: 5 }).toMatch(/^250-\.{10,}$/)
    expect(client.ended).toBeUndefined()
  })

  test('garbage sends a line that is not an SMTP reply', async () => {
    house.inbox.faults.set([{ at, do: 'garbage' }])
    const client = await house.upTo(at)
    client.say(...LINES[at]!)
    await expect.poll(() => client.unread, { interval: 5 }).toMatch(/^No reply .*\r\n$/)
  })
})

describe('faults', () => {
  test('reset, close, defer, or silence a connection at connect', async () => {
    house.inbox.faults.set([{ at: 'connect', do: 'refuse' }])
    const reset = house.connect()
    expect(await reset.closed()).toBe('reset')
    house.inbox.faults.set([{ at: 'connect', do: 'close' }])
    const closed = house.connect()
    expect(await closed.closed()).toBe('fin')
    expect(closed.heard).toBe('')
    house.inbox.faults.set([{ at: 'connect', do: 'defer' }])
    expect(await house.connect().reply()).toMatch(/^421 /)
    house.inbox.faults.set([{ at: 'connect', do: 'silence' }])
    expect(await house.connect().hearsNothing()).toBe(true)
  })

  test('close-before reads the body but not its end', async () => {
    house.inbox.faults.set([{ at: 'dot', do: 'close-before', times: 1 }])
    const client = await house.upTo('dot')
    client.say('Subject: never', '', 'half a')
    await client.closed()
    expect(client.unread).toBe('')
    expect(house.inbox.count).toBe(0)
    await house.deliver()
  })

  test('close-after keeps the mail and loses the reply', async () => {
    house.inbox.faults.set([{ at: 'dot', do: 'close-after', times: 1 }])
    const client = await house.upTo('dot')
    client.say(...BODY)
    expect(await client.closed()).toBe('fin')
    expect(client.unread).toBe('')
    expect(house.inbox.count).toBe(1)
    expect(house.inbox.connections()[0]).toMatchObject({ messages: 1, quit: false })
  })

  test('silence-after keeps the mail and never replies', async () => {
    house.inbox.faults.set([{ at: 'dot', do: 'silence-after' }])
    const client = await house.upTo('dot')
    client.say(...BODY)
    expect(await client.hearsNothing()).toBe(true)
    expect(house.inbox.count).toBe(1)
  })

  test('can be limited to some recipients', async () => {
    house.inbox.faults.set([
      { at: 'rcpt', do: 'refuse', to: '*@bounce.example' },
      { at: 'rcpt', do: 'defer', to: 'BUSY@b.example' },
    ])
    const client = await house.upTo('rcpt')
    expect(await client.ask('RCPT TO:<x@bounce.example>')).toMatch(/^550 /)
    expect(await client.ask('RCPT TO:<busy@b.example>')).toMatch(/^450 /)
    expect(await client.ask('RCPT TO:<bob@b.example>')).toMatch(/^250 /)
    await client.ask('DATA')
    await client.ask(...BODY)
    expect((await house.inbox.messages())[0]!.envelope.to).toEqual(['bob@b.example'])
    house.inbox.faults.set([{ at: 'dot', do: 'refuse', to: 'eve@b.example' }])
    await house.deliver()
    expect(await (await house.upTo('dot', ['bob@b.example', 'eve@b.example'])).ask(...BODY)).toMatch(/^554 /)
  })

  test('add up delays, and respect times and probability', async () => {
    house.inbox.faults.set([
      { at: 'mail', do: 'delay', ms: 60 },
      { at: 'mail', do: 'defer', times: 2 },
      { at: 'mail', do: 'refuse', probability: 0 },
    ])
    expect(house.inbox.faults.list()[1]).toEqual({ at: 'mail', do: 'defer', times: 2 })
    const client = await house.upTo('mail')
    const start = performance.now()
    expect(await client.ask('MAIL FROM:<a@a.example>')).toMatch(/^451 /)
    expect(performance.now() - start).toBeGreaterThan(55)
    expect(house.inbox.faults.list()[1]).toEqual({ at: 'mail', do: 'defer', times: 1 })
    expect(await client.ask('MAIL FROM:<a@a.example>')).toMatch(/^451 /)
    expect(await client.ask('MAIL FROM:<a@a.example>')).toMatch(/^250 /)
    house.inbox.faults.clear()
    expect(house.inbox.faults.list()).toEqual([])
  })

  test('a 421 closes the connection', async () => {
    house.inbox.faults.set([{ at: 'mail', do: 'defer', reply: '421 4.3.2 Going down' }])
    const client = await house.upTo('mail')
    expect(await client.ask('MAIL FROM:<a@a.example>')).toBe('421 4.3.2 Going down')
    expect(await client.closed()).toBe('fin')
  })

  test.each<[object, string]>([
    [{ at: 'nowhere', do: 'close' }, 'faults[0].at must be one of'],
    [{ at: 'mail', do: 'explode' }, 'faults[0].do must be one of'],
    [{ at: 'mail', do: 'close-after' }, "faults[0].do can be 'close-after' only at 'dot'"],
    [{ at: 'mail', do: 'refuse', to: 'a@b.example' }, "faults[0].to can't be used at 'mail'"],
    [{ at: 'mail', do: 'refuse', reply: '250 fine' }, 'faults[0].reply must look like'],
    [{ at: 'mail', do: 'refuse', reply: '550 a\r\n250 b' }, 'faults[0].reply must look like'],
    [{ at: 'mail', do: 'refuse', times: 0 }, 'faults[0].times'],
    [{ at: 'mail', do: 'refuse', probability: 2 }, 'faults[0].probability'],
    [{ at: 'mail', do: 'refuse', ms: 5 }, 'faults[0].ms'],
    [{ at: 'mail', do: 'refuse', chance: 5 }, 'faults[0].chance'],
  ])('rejects the fault %j', (fault, message) => {
    expect(() => house.inbox.faults.set([fault as Fault])).toThrow(message)
  })
})
