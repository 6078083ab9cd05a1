import { expect, it } from 'vitest'
import { ConditionLog } from '../../src/logging/conditionLog.js'
import { SILENT } from '../../src/logging/logger.js'
import { redactionOf } from '../../src/logging/redaction.js'
import type { RecordChange } from '../../src/queue/records.js'
import type { Alert } from '../../src/telemetry/alerts.js'
import { Events } from '../../src/telemetry/events.js'
import { Validator } from '../../src/validation.js'
import { EventRecorder } from '../../src/webhooks/eventRecorder.js'
import { resolveWebhooks } from '../../src/webhooks/webhookOptions.js'

const alert = (message: string): Alert => ({
  rule: 'queue',
  value: 2,
  limit: 1,
  message,
  since: new Date().toISOString(),
})

it('An event that comes while another is being stored is stored after it, at once', async () => {
  const [endpoint] = resolveWebhooks(new Validator('INVALID_OPTIONS'), [
    { url: 'https://acme.example/hook', secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' },
  ])
  const full = new ConditionLog(SILENT, { begins: 'full', level: 'warn', ends: 'not full' })
  const writes: { changes: readonly RecordChange[]; end: () => void }[] = []
  const recorder = new EventRecorder({
    endpoints: [{ endpoint: endpoint!, disabled: false, waiting: 0, dropped: 0, full }],
    limit: 100,
    redaction: redactionOf({ recipients: false }),
    logger: SILENT,
    write: (changes) => new Promise<void>((end) => void writes.push({ changes, end })),
    stored: () => undefined,
  })
  const events = new Events(SILENT)
  recorder.listenTo(events)
  events.emit('alert', () => alert('the first'))
  await expect.poll(() => writes.length).toBe(1)
  events.emit('alert', () => alert('the second'))
  const closing = recorder.flush()
  // The batch of the second event is over.
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  expect(writes).toHaveLength(1)
  writes[0]!.end()
  await expect.poll(() => writes.length).toBe(2)
  expect(JSON.stringify(writes[1]?.changes)).toContain('the second')
  writes[1]!.end()
  await closing
})
