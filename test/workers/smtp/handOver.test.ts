import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { describe, expect, it, onTestFinished } from 'vitest'
import { randomFrom } from '../../support/random.js'
import { type Answer, ScriptedServer } from '../../support/scriptedServer.js'
import { Notes, send, senderTo } from '../../support/smtpSender.js'

/** An envelope that no kernel takes at once: it is longer than the buffers of both ends. */
const LONG_ENVELOPE = Array.from({ length: 100 }, (_, index) => `${index}${'x'.repeat(300_000)}@example.com`)

const BIG = Buffer.concat([Buffer.from('Subject: big\r\n\r\n'), Buffer.alloc(4_200_000, 'line\r\n')])

describe.each([
  ['short', undefined],
  ['long', BIG],
])('the final dot of a %s message has left, and the envelope behind it has not', (_, bytes) => {
  /** Takes the first message up to its dot, answers, and reads nothing that follows. */
  async function atTheDot(answer: Answer) {
    const server = await ScriptedServer.start({
      dot: (_line, { socket, index, turn }) => {
        if (index > 0 || turn > 1) return '250 ok'
        socket.pause()
        return answer
      },
    })
    const sender = senderTo(server.port, {}, 1)
    const first = send(sender, bytes === undefined ? {} : { bytes })
    const second = send(sender, { to: LONG_ENVELOPE })
    return { server, first, second }
  }

  it('an honest 250 counts', async () => {
    const { server, first, second } = await atTheDot('250 taken')
    expect((await first).outcome).toEqual({ result: 'sent', code: 'OK' })
    server.conversations[0]?.socket.resume()
    expect((await second).outcome).toEqual({ result: 'sent', code: 'OK' })
    expect(server.messages).toHaveLength(2)
  })

  it('a connection that closes leaves the message uncertain', async () => {
    const { server, first, second } = await atTheDot((socket) => void socket.resetAndDestroy())
    expect((await first).outcome).toEqual({ result: 'uncertain', code: 'REPLY_LOST' })
    expect((await second).outcome).toEqual({ result: 'sent', code: 'OK' })
    expect(server.messages).toHaveLength(2)
  })

  it('a refusal counts, and the envelope goes to another connection', async () => {
    const { server, first, second } = await atTheDot('550 no')
    expect((await first).outcome).toEqual({ result: 'rejected', code: 'SMTP_REJECTED' })
    expect((await second).outcome).toEqual({ result: 'sent', code: 'OK' })
    expect(server.conversations).toHaveLength(2)
  })
})

it('the envelope of the next message never gets in front of the final dot of a long one', async () => {
  let pause: ((socket: Socket) => void) | undefined
  const paused = new Promise<Socket>((resolve) => {
    pause = (socket) => resolve(socket.pause())
  })
  const server = await ScriptedServer.start({
    body: ({ socket }) => {
      pause?.(socket)
      pause = undefined
    },
  })
  const sender = senderTo(server.port, {}, 1)
  const long = Buffer.concat([Buffer.from('Subject: big\r\n\r\n'), Buffer.alloc(12_000_000, 'line\r\n')])
  const first = send(sender, { bytes: long })
  const socket = await paused
  const notes = new Notes()
  const second = send(sender, { notes })
  expect(notes.phases).toEqual(['connecting'])
  socket.resume()
  expect((await first).outcome.result).toBe('sent')
  expect((await second).outcome.result).toBe('sent')
  expect(server.messages.map(({ data }) => data.length)).toEqual([long.length, 22])
})

it('with a slow window and a blocked thread, no message that the server took counts as not sent', async () => {
  const seed = Date.now() % 1_000_000
  const worker = new Worker(new URL('../../support/slowServer.mjs', import.meta.url), {
    workerData: { seed, closes: 0.1 },
  })
  onTestFinished(() => void worker.terminate())
  const taken = new Map<number, number>()
  const [{ port }] = (await once(worker, 'message')) as [{ port: number }]
  worker.on('message', ({ taken: number }: { taken: number }) =>
    taken.set(number, (taken.get(number) ?? 0) + 1),
  )
  const random = randomFrom(seed)
  const sender = senderTo(port, {}, 2)
  const pause = new Int32Array(new SharedArrayBuffer(4))
  const blocking = setInterval(() => void Atomics.wait(pause, 0, 0, random() * 10), 5)
  onTestFinished(() => clearInterval(blocking))

  const results = await Promise.all(
    Array.from({ length: 40 }, async (_, number) => {
      const header = `X-Number: ${number}\r\nSubject: hi\r\n\r\n`
      const bytes = Buffer.concat([
        Buffer.from(header),
        Buffer.alloc(6 * Math.floor(random() * 700_000), 'line\r\n'),
      ])
      const to = Array.from(
        { length: 50 },
        (_, index) => `${index}${'x'.repeat(random() * 4_000)}@example.com`,
      )
      return (await send(sender, { bytes, to })).outcome.result
    }),
  )
  await expect.poll(() => taken.size).toBeGreaterThanOrEqual(results.filter((each) => each === 'sent').length)
  for (const [number, result] of results.entries()) {
    const times = `message ${number} was ${result}, and taken ${taken.get(number) ?? 0} times (seed ${seed})`
    if (result === 'sent') expect(taken.get(number), times).toBe(1)
    else expect(['uncertain', 'deferred']).toContain(result)
    if (taken.has(number)) expect(result, times).not.toBe('deferred')
  }
})
