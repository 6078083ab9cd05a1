import PostalMime from 'postal-mime'
import { describe, expect, it } from 'vitest'
import { addressKey, toAsciiDomain, toWireAddress } from '../../src/protocol/addressForms.js'
import { MailApi, SECRET, SENDGRID, SES } from '../support/mailApi.js'
import { testMailer } from '../support/mailer.js'
import { job, plain, refusal } from '../support/messageRules.js'
import { ScriptedServer } from '../support/scriptedServer.js'

const isAscii = (text: string) => Buffer.byteLength(text) === text.length
const NO_UTF8 = ['PIPELINING', '8BITMIME']

describe('an address', () => {
  it.each([
    ['ada@example.com', 'ada@example.com'],
    ['ada@bücher.example', 'ada@xn--bcher-kva.example'],
    ['Ada@BÜCHER.example', 'Ada@xn--bcher-kva.example'],
    ['ada@faß.example', 'ada@xn--fa-hia.example'],
    ['ada@日本語。jp', 'ada@xn--wgv71a119e.jp'],
    ['ada@xn--bcher-kva.example', 'ada@xn--bcher-kva.example'],
    ['用户@例え.example', '用户@xn--r8jz45g.example'],
    ['abc..def@docomo.ne.jp', '"abc..def"@docomo.ne.jp'],
    ['abc.@docomo.ne.jp', '"abc."@docomo.ne.jp'],
    ['.abc@ezweb.ne.jp', '".abc"@ezweb.ne.jp'],
    ['"a b"@example.com', '"a b"@example.com'],
    ['"ada"@example.com', 'ada@example.com'],
    ['"a\\"b"@example.com', '"a\\"b"@example.com'],
    ['"a, b"@bücher.example', '"a, b"@xn--bcher-kva.example'],
    ['ada@[192.0.2.1]', 'ada@[192.0.2.1]'],
    ['ada@[IPv6:2001:db8::1]', 'ada@[IPv6:2001:db8::1]'],
  ])('%s is accepted, and sent as %s', (address, wire) => {
    expect(job({ ...plain, to: address }).to).toEqual([{ address }])
    expect(job({ ...plain, to: `Ada <${address}>` }).to).toEqual([{ name: 'Ada', address }])
    expect(job({ ...plain, to: { address } }).to).toEqual([{ address }])
    expect(toWireAddress(address)).toBe(wire)
    expect(toWireAddress(wire)).toBe(wire)
  })

  it.each([
    'a b@example.com',
    '"a"b@example.com',
    '"a@b"@example.com',
    '"a\\@b"@example.com',
    '"a>b"@example.com',
    '"a@example.com',
    '"a\n"@example.com',
    '""@example.com',
    'a@b@example.com',
    'ada@examp║le.com',
    'ada@i❤.ws',
    'ada@exa\u00admple.com',
    'ada@ex%61mple.com',
    'ada@exämple.com/x',
    'ada@exämple.com:25',
    'ada@xn--a.com',
    'ada@-a.com',
    'ada@a..b',
    'ada@a_b.com',
    'ada@０ｘ７ｆ.1',
    'a\u200bb@example.com',
    '\ufeffada@example.com',
    'a\u00adda@example.com',
    '\u202eada@example.com',
    'ada\u00a0@example.com',
    `${'a'.repeat(64)}.@example.com`,
    `ada@${'bücher.'.repeat(40)}example`,
  ])('%j is refused', (address) => {
    expect(refusal({ ...plain, to: address }).path).toBe('to')
    expect(refusal({ ...plain, to: { address } }).path).toBe('to.address')
  })

  it.each([
    ['"Lovelace, Ada" <ada@example.com>', 'Lovelace, Ada'],
    ['Ada "The Countess" Lovelace <ada@example.com>', 'Ada The Countess Lovelace'],
    ["O'Neil <ada@example.com>", "O'Neil"],
    ['"say \\"hi\\"" <ada@example.com>', 'say "hi"'],
    ['Ada<ada@example.com>', 'Ada'],
    ['ada@example.com <ada@example.com>', undefined],
    ['<ada@example.com>', undefined],
  ])('%s has the name %s', (text, name) => {
    expect(job({ ...plain, to: text }).to).toEqual([
      name === undefined ? { address: 'ada@example.com' } : { name, address: 'ada@example.com' },
    ])
  })

  it('is one recipient in every spelling of its domain, and in a quoted or plain form', async () => {
    expect(addressKey('ada@EXAMPLE.com')).toBe(addressKey('"ada"@example.com'))
    expect(addressKey('ada@bücher.example')).toBe(addressKey('ada@XN--BCHER-KVA.example'))
    expect(addressKey('Ada@example.com')).not.toBe(addressKey('ada@example.com'))
    const server = await ScriptedServer.start()
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    const message = await mailer.sendAndWait({
      ...plain,
      to: ['ada@example.com', 'ada@EXAMPLE.com'],
      cc: ['ada@Example.com', 'bob@bücher.example'],
      bcc: 'bob@xn--bcher-kva.example',
    })
    expect(message.recipients.map(({ address }) => address)).toEqual([
      'ada@example.com',
      'bob@bücher.example',
    ])
    expect(server.messages[0]?.to).toEqual(['ada@example.com', 'bob@xn--bcher-kva.example'])
    expect(server.messages[0]?.data).toMatch(/^To: ada@example\.com\r$/m)
  })

  it('has a domain of the code points of IDNA 2008, whatever the URL parser accepts', () => {
    for (const domain of ['l·l.cat', 'नेपाल.example', 'א״ב.example', 'ソニー・ピクチャーズ.example'])
      expect(toAsciiDomain(domain), domain).toMatch(/^xn--|\.xn--/)
    for (const domain of ['☕.com', '½.com\u2044', 'a/b', 'a b', '', '.', 'a.', '٠.com\u0000'])
      expect(toAsciiDomain(domain), domain).toBeUndefined()
  })
})

describe('a message with an internationalized domain', () => {
  it('is ASCII everywhere, so that any server accepts it', async () => {
    const server = await ScriptedServer.start({ extensions: NO_UTF8 })
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    const { status, messageId, to } = await mailer.sendAndWait({
      from: 'Bücher <info@bücher.example>',
      sender: 'post@bücher.example',
      to: 'ada@bücher.example',
      cc: 'Bob <bob@bücher.example>',
      replyTo: 'antwort@bücher.example',
      envelope: { from: 'bounces+42@bücher.example' },
      listUnsubscribe: { mailto: 'ab@bücher.example?subject=leave', url: 'https://bücher.example/ü' },
      inReplyTo: '<a@bücher.example>',
      references: '<a@bücher.example> <b@bücher.example>',
      headers: {
        'List-Id': 'Größe <l.bücher.example>',
        'List-Post': '<mailto:liste@bücher.example>',
        'Disposition-Notification-To': 'Jörg <jörg.m@bücher.example>'.replace('jörg', 'joerg'),
      },
      subject: 'Größe',
      text: 'Grüße',
    })
    expect(status).toBe('sent')
    expect(to).toEqual([{ address: 'ada@bücher.example' }])
    expect(messageId).toMatch(/@xn--bcher-kva\.example>$/)
    const { commands = [], messages = [] } = server.conversations[0] ?? {}
    expect(commands.every(isAscii)).toBe(true)
    expect(commands).toContain('MAIL FROM:<bounces+42@xn--bcher-kva.example>')
    const [header = ''] = messages[0]?.data.split('\r\n\r\n') ?? []
    expect(isAscii(header)).toBe(true)
    expect(header).not.toMatch(/xn--.*xn--.*bücher/)
    const parsed = await PostalMime.parse(messages[0]?.data ?? '')
    const value = (name: string) => parsed.headers.find(({ key }) => key === name)?.value
    expect(parsed.from).toEqual({ name: 'Bücher', address: 'info@xn--bcher-kva.example' })
    expect(parsed.sender).toEqual({ name: '', address: 'post@xn--bcher-kva.example' })
    expect(value('list-id')).toBe('=?UTF-8?Q?Gr=C3=B6=C3=9Fe?= <l.xn--bcher-kva.example>')
    expect(value('list-post')).toBe('<mailto:liste@xn--bcher-kva.example>')
    expect(value('disposition-notification-to')).toBe('=?UTF-8?Q?J=C3=B6rg?= <joerg.m@xn--bcher-kva.example>')
    expect(value('list-unsubscribe')).toBe(
      '<https://xn--bcher-kva.example/%C3%BC>, <mailto:ab@xn--bcher-kva.example?subject=leave>',
    )
    expect(value('references')).toBe('<a@xn--bcher-kva.example> <b@xn--bcher-kva.example>')
    expect(value('message-id')).toBe(messageId)
  })
})

describe('a recipient that requires SMTPUTF8', () => {
  it.each(['to', 'cc', 'bcc'])('fails alone in %s if the server does not offer it', async (field) => {
    const server = await ScriptedServer.start({ extensions: NO_UTF8 })
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    const message = await mailer.sendAndWait({
      ...plain,
      ...(field === 'to'
        ? { to: ['用户@example.com', 'ada@example.com'] }
        : { to: 'ada@example.com', [field]: { name: 'ユーザー', address: '用户@example.com' } }),
    })
    expect(message.status).toBe('partial')
    expect(message.recipients.find(({ address }) => address === '用户@example.com')).toEqual({
      address: '用户@example.com',
      status: 'failed',
      code: 'SMTPUTF8_UNSUPPORTED',
    })
    expect(message.recipients.find(({ address }) => address === 'ada@example.com')?.status).toBe('sent')
    expect(server.messages).toHaveLength(1)
    expect(server.messages[0]?.to).toEqual(['ada@example.com'])
    expect(isAscii(server.messages[0]?.data ?? 'ü')).toBe(true)
    const parsed = await PostalMime.parse(server.messages[0]?.data ?? '')
    const groups = [...(parsed.to ?? []), ...(parsed.cc ?? [])].filter(({ group }) => group !== undefined)
    expect(groups.map(({ name }) => name)).toEqual(
      field === 'bcc' ? [] : [field === 'to' ? '用户@example.com' : 'ユーザー <用户@example.com>'],
    )
  })

  it('is sent with the others if the server offers it', async () => {
    const server = await ScriptedServer.start()
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    const message = await mailer.sendAndWait({ ...plain, to: ['用户@bücher.example', 'ada@example.com'] })
    expect(message.status).toBe('sent')
    expect(message.recipients.map(({ address, status }) => [address, status])).toEqual([
      ['用户@bücher.example', 'sent'],
      ['ada@example.com', 'sent'],
    ])
    expect(server.conversations[0]?.commands).toContain(
      Buffer.from('RCPT TO:<用户@xn--bcher-kva.example>').toString('latin1'),
    )
  })

  it.each([
    ['SendGrid', SENDGRID, (endpoint: string) => ({ url: 'sendgrid:', apiKey: SECRET, endpoint })],
    [
      'Amazon SES',
      SES,
      (endpoint: string) => ({
        url: 'ses://eu-central-1',
        credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: SECRET },
        endpoint,
      }),
    ],
  ] as const)('fails alone over %s, which receives domains as A-labels', async (_, dialect, transport) => {
    const api = await MailApi.start(dialect)
    const mailer = await testMailer({ transport: transport(api.url) })
    const message = await mailer.sendAndWait({
      ...plain,
      from: 'info@bücher.example',
      to: ['ada@bücher.example', '用户@example.com'],
    })
    expect(message.status).toBe('partial')
    expect(message.recipients).toMatchObject([
      { address: 'ada@bücher.example', status: 'sent' },
      { address: '用户@example.com', status: 'failed', code: 'SMTPUTF8_UNSUPPORTED' },
    ])
    expect(api.taken[0]?.to).toEqual(['ada@xn--bcher-kva.example'])
    expect(api.taken[0]?.text).not.toContain('bücher')
  })
})

describe('the envelope and the header', () => {
  it('name no recipient in the header of a mail that has only blind copies', async () => {
    const server = await ScriptedServer.start()
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    await mailer.sendAndWait({ subject: 'Hi', text: 'x', bcc: 'ada@example.com' })
    expect(server.messages[0]?.data).toContain('\r\nTo: undisclosed-recipients:;\r\n')
    expect(server.messages[0]?.data).not.toContain('ada@')
  })

  it('have a null reverse-path if envelope.from is empty', async () => {
    const server = await ScriptedServer.start()
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    const message = await mailer.sendAndWait({ ...plain, envelope: { from: '' } })
    expect(message.status).toBe('sent')
    expect(server.conversations[0]?.commands).toContain('MAIL FROM:<>')
    expect(server.messages[0]?.data).toContain('From: Acme <hello@acme.example>\r\n')
  })

  it('quote a local part where needed', async () => {
    const server = await ScriptedServer.start()
    const mailer = await testMailer({ transport: `smtp://127.0.0.1:${server.port}` })
    const message = await mailer.sendAndWait({
      ...plain,
      to: ['abc..def@docomo.ne.jp', '"a b"@example.com', '"x,\\"y"@example.com'],
    })
    expect(message.recipients.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent'])
    expect(server.conversations[0]?.commands.filter((line) => line.startsWith('RCPT'))).toEqual([
      'RCPT TO:<"abc..def"@docomo.ne.jp>',
      'RCPT TO:<"a b"@example.com>',
      'RCPT TO:<"x,\\"y"@example.com>',
    ])
  })
})
