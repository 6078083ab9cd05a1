/** A process that sends one mail and tells how long that took, its own start included. */
import { answerParent } from './answer.js'
import { createContestant } from './contestant.js'
import { Load } from './load.js'
import type { RunOrder } from './order.js'

answerParent<{ start: number }>(async (order: RunOrder) => {
  const contestant = await createContestant(order)
  await new Load(contestant, 1).oneAfterAnother({ seconds: 60, messages: 1 })
  const start = performance.now()
  await contestant.close()
  return { start }
})
