import { describe, expect, it } from 'vitest'
import { outcomeAfterProcessDeath } from '../../src/delivery/crashRecovery.js'
import type { Evidence } from '../../src/protocol/evidence.js'

const TO = ['a@example.com', 'b@example.com', 'c@example.com']

function resultsAfter(evidence: Partial<Evidence>): string[] | undefined {
  const known = outcomeAfterProcessDeath(
    { phase: 'body', thread: 1, reply: 0, recipients: [], ...evidence },
    TO,
    1,
  )
  return known === undefined ? undefined : [known.result, ...known.recipients.map(({ result }) => result)]
}

describe('the death of a process', () => {
  it('within the only body leaves every recipient uncertain', () => {
    expect(resultsAfter({ recipients: [undefined, undefined, undefined] })).toEqual(['uncertain'])
  })

  it('within a further body leaves the recipients of earlier transactions as they are', () => {
    expect(resultsAfter({ reply: 250, recipients: ['accepted', 'rejected', undefined] })).toEqual([
      'uncertain',
      'accepted',
      'rejected',
      'uncertain',
    ])
  })

  it('between two transactions leaves the remaining recipients certainly not sent', () => {
    expect(
      resultsAfter({ phase: 'replied', reply: 250, recipients: ['accepted', 'accepted', 'deferred'] }),
    ).toEqual(['sent', 'accepted', 'accepted', 'deferred'])
  })

  it('before any body leaves the message certainly not sent', () => {
    expect(resultsAfter({ phase: 'envelope' })).toBeUndefined()
  })
})
