/** A process that sends one mail and tells how long that took, its own start included. */
import { answerParent } from './childMessages.js'
import { Load } from './mailLoad.js'
import type { RunOrder } from './order.js'
import { createSubject } from './subject.js'

answerParent<{ start: number }>(async (order: RunOrder) => {
  const subject = await createSubject(order)
  await new Load(subject, 1).oneAfterAnother({ seconds: 60, messages: 1 })
  const start = performance.now()
  await subject.close()
  return { start }
})
