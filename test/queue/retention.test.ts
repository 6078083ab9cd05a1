import { expect, it } from 'vitest'
import { SettledLog } from '../../src/queue/memory/messageStore.js'
import { randomFrom } from '../support/random.js'

const random = randomFrom(41)

it('returns settled messages in the order of their settlement, even if some were removed', () => {
  const retained = new SettledLog<{ place: number; name: number }>()
  const there: { place: number; name: number }[] = []
  for (let name = 0; name < 20_000; name++) {
    const entry = { place: -1, name }
    retained.add(entry)
    there.push(entry)
    if (random() < 0.3) {
      const [out] = there.splice(Math.floor(random() * there.length), 1)
      retained.remove(out!)
    }
    while (there.length > 50) {
      expect(retained.oldest).toBe(there[0])
      retained.remove(there.shift()!)
    }
    expect(retained.size).toBe(there.length)
  }
})
