import { describe, expect, test } from 'vitest'
import { testMailer } from '../support/mailer.js'

const sendgrid = { url: 'sendgrid:', apiKey: 'SG.x', endpoint: 'http://127.0.0.1:1' }
const ses = {
  url: 'ses://eu-central-1',
  credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
  endpoint: 'http://127.0.0.1:1',
}

describe('a reverse-path that the service ignores', () => {
  const mailerOf = () =>
    testMailer({
      threads: 0,
      transports: {
        smtp: 'smtp://127.0.0.1:1',
        sendgrid,
        ses,
        toSendgrid: { url: 'smtp://127.0.0.1:1', failover: 'sendgrid' },
        toSes: { url: 'smtp://127.0.0.1:1', failover: 'ses' },
      },
    })
  const VERP = 'bounces+ada@acme.example'
  const OWN = 'HELLO@ACME.example'

  test.each([
    ['smtp', VERP, true],
    ['smtp', '', true],
    ['sendgrid', VERP, false],
    ['sendgrid', '', false],
    ['sendgrid', 'hello@ACME.example', true],
    ['sendgrid', undefined, true],
    ['ses', VERP, true],
    ['ses', '', false],
    ['toSendgrid', VERP, false],
    ['toSendgrid', OWN, false],
    ['toSes', VERP, true],
    ['toSes', '', false],
  ])('is refused when the mail is accepted: %s, %j', async (transport, from, accepted) => {
    const mailer = await mailerOf()
    const envelope = from === undefined ? {} : { from }
    const prepared = async () =>
      mailer.prepare({ to: 'ada@example.com', subject: 'x', text: 'x', transport, envelope })
    if (accepted) await prepared()
    else await expect(prepared()).rejects.toMatchObject({ code: 'UNSUPPORTED', path: 'envelope.from' })
  })
})
