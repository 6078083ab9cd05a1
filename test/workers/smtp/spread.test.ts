import { describe, expect, it } from 'vitest'
import { ScriptedServer } from '../../support/scriptedServer.js'
import { send, senderTo } from '../../support/smtpSender.js'
import { stopClock } from '../../support/stoppedClock.js'

const many = (sender: Parameters<typeof send>[0], count: number) =>
  Promise.all(Array.from({ length: count }, (_, index) => send(sender, { text: `m${index}` })))

describe('messages over connections', () => {
  it('share one connection as long as none of them has waited for too long', async () => {
    stopClock()
    const server = await ScriptedServer.start()
    const sender = senderTo(server.port, {}, 10)
    for (let round = 0; round < 20; round++) await many(sender, 10)
    expect(server.messages).toHaveLength(200)
    expect(server.conversations).toHaveLength(1)
  })

  it('are not delayed by a slow message, except for the one pipelined behind it', async () => {
    let release: () => void = () => undefined
    const stuck = new Promise<void>((resolve) => (release = resolve))
    const server = await ScriptedServer.start({
      dot: async (_, { messages }) => {
        if (messages.at(-1)?.data.includes('slow')) await stuck
        return '250 ok'
      },
    })
    const sender = senderTo(server.port, {}, 3)
    const done: string[] = []
    const track = async (text: string) => {
      const { outcome } = await send(sender, { text })
      done.push(`${text} ${outcome.result}`)
    }
    const slow = track('slow')
    const behind = track('behind')
    const others = ['a', 'b', 'c', 'd', 'e', 'f'].map(track)
    await Promise.all(others)
    expect(done).toHaveLength(6)
    release()
    await Promise.all([slow, behind])
    expect(done.slice(6)).toEqual(['slow sent', 'behind sent'])
  })

  it('never use more connections than the limit', async () => {
    const server = await ScriptedServer.start({
      dot: async () => {
        await new Promise((resolve) => setTimeout(resolve, 25))
        return '250 ok'
      },
    })
    const sender = senderTo(server.port, {}, 3)
    await many(sender, 24)
    expect(server.conversations.length).toBe(3)
    expect(server.messages).toHaveLength(24)
  })

  it('are sent in order over one connection', async () => {
    const server = await ScriptedServer.start()
    const sender = senderTo(server.port, {}, 1)
    await many(sender, 30)
    expect(server.messages.map(({ data }) => /m\d+/.exec(data)?.[0])).toEqual(
      Array.from({ length: 30 }, (_, index) => `m${index}`),
    )
  })
})
