import ICAL from 'ical.js'
import PostalMime from 'postal-mime'
import { createTransport } from 'threadpost/nodemailer'
import { describe, expect, it, onTestFinished } from 'vitest'
import { mailerWithInbox, testInbox } from '../../support/mailer.js'
import { PythonParser } from '../../support/pythonParser.js'
import { describeWith } from '../../support/tools.js'

const UID = 'meeting-17@acme.example'
const INVITATION = [
  'BEGIN:VCALENDAR',
  'VERSION:2.0',
  'PRODID:-//Acme//Größe//EN',
  'BEGIN:VEVENT',
  `UID:${UID}`,
  'DTSTAMP:20270101T100000Z',
  'DTSTART:20270105T100000Z',
  'DTEND:20270105T110000Z',
  'SUMMARY:Grüße aus Köln\\, und ein langer Titel, der in dieser Zeile keinen Platz',
  '  mehr hat',
  'ORGANIZER;CN=Ada:mailto:ada@acme.example',
  'ATTENDEE;RSVP=TRUE:mailto:bob@example.com',
  'END:VEVENT',
  'END:VCALENDAR',
].join('\n')

/** Returns the fields that a calendar program reads in a part. */
function read(content: Uint8Array | string): { method: unknown; uid: string; summary: string } {
  const text = typeof content === 'string' ? content : Buffer.from(content).toString()
  const calendar = new ICAL.Component(ICAL.parse(text) as never)
  const event = new ICAL.Event(calendar.getFirstSubcomponent('vevent')!)
  return { method: calendar.getFirstPropertyValue('method'), uid: event.uid, summary: event.summary }
}

async function sentAsCalendar(method: 'REQUEST' | 'CANCEL'): Promise<Buffer> {
  const { mailer, inbox } = await mailerWithInbox({ threads: 0 })
  await mailer.send({
    ...{ to: 'bob@example.com', subject: 'Meeting', text: 'We meet.', html: '<p>We meet.</p>' },
    calendar: { content: INVITATION, method },
  })
  return Buffer.from((await inbox.waitFor()).raw)
}

async function sentAsEvent(method: string): Promise<Buffer> {
  const inbox = await testInbox()
  const transporter = createTransport(inbox.url, {}, { threads: 0 })
  onTestFinished(() => transporter.close())
  await transporter.sendMail({
    ...{ from: 'ada@acme.example', to: 'bob@example.com', subject: 'Meeting', text: 'We meet.' },
    icalEvent: { method, content: INVITATION },
  })
  return Buffer.from((await inbox.waitFor()).raw)
}

const SENT: [name: string, method: string, send: () => Promise<Buffer>][] = [
  ['a request', 'REQUEST', () => sentAsCalendar('REQUEST')],
  ['a cancellation', 'CANCEL', () => sentAsCalendar('CANCEL')],
  ['an icalEvent of nodemailer', 'REQUEST', () => sentAsEvent('request')],
]

function expected(method: string): object {
  const summary = 'Grüße aus Köln, und ein langer Titel, der in dieser Zeile keinen Platz mehr hat'
  return { method, uid: UID, summary }
}

describe('an invitation has the same method in its type and its content, and one UID', () => {
  it.each(SENT)('read by postal-mime: %s', async (_, method, send) => {
    const { attachments } = await PostalMime.parse(await send())
    const parts = attachments.map(({ mimeType, content }) => [
      mimeType,
      read(new Uint8Array(content as ArrayBuffer)),
    ])
    expect(parts).toEqual([
      ['text/calendar', expected(method)],
      ['application/ics', expected(method)],
    ])
    expect(attachments[0]?.method).toBe(method)
  })
})

describeWith(['python3-dkim'], 'an invitation has one method and one UID', (tools) => {
  it.each(SENT)("read by Python's email package: %s", async (_, method, send) => {
    const python = new PythonParser(tools['python3-dkim'])
    onTestFinished(() => python.close())
    const { tree, leaves } = await python.parse(await send())
    expect(tree).toMatch(
      /^mixed\(alternative\(text\/plain,(?:text\/html,)?text\/calendar\),application\/ics\)$/,
    )
    const calendars = leaves.slice(-2)
    expect(calendars.map(({ content }) => read(Buffer.from(content ?? '', 'base64')))).toEqual([
      expected(method),
      expected(method),
    ])
    expect(calendars[0]?.method).toBe(method)
    expect(new Set(calendars.map(({ content }) => content)).size).toBe(1)
  })
})
