import { type Fault, type Inbox, type InboxOptions, startInbox } from 'threadpost/testing'
import { afterEach, beforeEach, expect } from 'vitest'
import { patient } from './mailer.js'
import { RawClient } from './rawClient.js'

/** A message, its final dot included. */
export const BODY = ['Subject: Hello', 'From: Ada <ada@a.example>', 'To: bob@b.example', '', 'Hi Bob', '.']

/** An inbox anew for each test, and those who hand mail over to it byte by byte. */
export interface VisitedInbox {
  inbox: Inbox
  /** Another inbox in its place. */
  restart(options: InboxOptions): Promise<void>
  connect(): RawClient
  /** Goes through the session up to, but not including, the step. */
  upTo(step: Fault['at'], to?: string[]): Promise<RawClient>
  deliver(to?: string, subject?: string): Promise<void>
}

/** To be called once in a file; what it returns is filled before each test. */
export function useVisitedInbox(): VisitedInbox {
  const house = { restart, connect: () => new RawClient(house.inbox.port), upTo, deliver } as VisitedInbox
  beforeEach(async () => {
    house.inbox = patient(await startInbox())
  })
  afterEach(() => house.inbox.close())

  async function restart(options: InboxOptions): Promise<void> {
    await house.inbox.close()
    house.inbox = patient(await startInbox(options))
  }

  async function upTo(step: Fault['at'], to = ['bob@b.example']): Promise<RawClient> {
    const client = house.connect()
    if (step === 'connect' || step === 'greeting') return client
    await client.reply()
    if (step === 'helo') return client
    await client.ask('EHLO client.example')
    if (step === 'mail') return client
    await client.ask('MAIL FROM:<ada@a.example>')
    if (step === 'rcpt') return client
    for (const address of to) await client.ask(`RCPT TO:<${address}>`)
    if (step === 'data') return client
    await client.ask('DATA')
    return client
  }

  async function deliver(to = 'bob@b.example', subject = 'Hello'): Promise<void> {
    const client = await upTo('dot', [to])
    expect(await client.ask(`Subject: ${subject}`, '', 'Hi', '.')).toMatch(/^250 /)
    client.say('QUIT')
    await client.closed()
  }

  return house
}
