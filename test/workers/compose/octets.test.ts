import { expect, it } from 'vitest'
import { BufferPool } from '../../../workers/compose/bufferPool.js'

function take(octets: BufferPool, text: string) {
  octets.clear()
  octets.writeText(text)
  return octets.take()
}

/** Enough messages to leave the block in use behind. */
function fill(octets: BufferPool): ReturnType<typeof take>[] {
  return Array.from({ length: 100 }, (_, index) => take(octets, `${index} `.repeat(6_000)))
}

it('keeps the octets of a message until its lease is released', () => {
  const octets = new BufferPool()
  const first = take(octets, 'Hello')
  for (let round = 0; round < 5; round++) for (const { lease } of fill(octets)) lease?.release()
  expect(first.bytes.toString()).toBe('Hello')
})

it('reuses released memory', () => {
  const octets = new BufferPool()
  const first = take(octets, 'Hello')
  const others = fill(octets)
  first.lease?.release()
  for (const { lease } of others) lease?.release()
  const again = fill(octets)
  expect(again.some(({ bytes }) => bytes.buffer === first.bytes.buffer)).toBe(true)
})

it('never reuses memory that was not released', () => {
  const octets = new BufferPool()
  const kept = fill(octets)
  const before = kept.map(({ bytes }) => bytes.toString())
  for (let round = 0; round < 3; round++) for (const { lease } of fill(octets)) lease?.release()
  expect(kept.map(({ bytes }) => bytes.toString())).toEqual(before)
})

it('holds a message longer than a block, written in many steps, and then short ones', () => {
  const octets = new BufferPool()
  octets.clear()
  for (let step = 0; step < 50; step++) octets.writeText('0123456789'.repeat(10_000))
  const long = octets.take()
  expect(long.lease).toBeUndefined()
  expect(long.bytes.length).toBe(5_000_000)
  expect(long.bytes.toString()).toBe('0123456789'.repeat(500_000))
  expect(take(octets, 'Hello').bytes.toString()).toBe('Hello')
})
