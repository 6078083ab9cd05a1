import { expect, it } from 'vitest'
import { WindowCounter } from '../../src/structures/windowCounter.js'

it.each([
  { title: 'nothing before the first window is complete', events: [101, 103, 109], recent: 0 },
  { title: 'the events of a window, with the one that closes it', events: [101, 103, 110], recent: 3 },
  { title: 'the last complete window only', events: [101, 103, 110, 112, 121], recent: 2 },
  { title: 'a window that the closing event stretches', events: [105, 119], recent: 2 },
  { title: 'nothing after a pause of two windows', events: [101, 103, 110, 130], recent: 0 },
  { title: 'events again after a pause', events: [101, 110, 200, 201, 210], recent: 2 },
])('remembers $title', ({ events, recent }) => {
  const counter = new WindowCounter(10)
  counter.count(100)
  for (const at of events) counter.count(at)
  expect(counter.recent).toBe(recent)
})
