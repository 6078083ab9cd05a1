import { describe, expect, it } from 'vitest'
import { folderOf } from '../support/folder.js'
import { ADA, clientOf, plainToken, quietIntake, submit } from '../support/intake.js'
import type { RawClient } from '../support/rawClient.js'

const SHOP = 'x@shop.acme.example'
const CEO = 'ceo@acme.example'
const users = [{ user: 'shop', pass: 'secret', senders: ['shop.acme.example'] }]

async function shopClient(): Promise<RawClient> {
  const templates = await folderOf({
    'hello.mjml':
      '<mjml><mj-head><mj-title>Hi</mj-title></mj-head><mj-body><mj-section><mj-column><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>',
  })
  const client = await clientOf(
    await quietIntake({ auth: { users }, limits: { header: 1_000_000 } }, { from: CEO, templates }),
  )
  await client.ask(`AUTH PLAIN ${plainToken('shop', 'secret')}`)
  return client
}

const submitted = (client: RawClient, header: readonly string[]) =>
  submit(client, [...header, `To: ${ADA}`, 'Subject: Hi', '', 'Hello.'], { from: SHOP })

const TEMPLATE = 'X-Threadpost-Template: hello'
const comments = Array.from({ length: 80 }, () => ` (${'p'.repeat(900)})`)
const addresses = Array.from({ length: 1_100 }, () => ` ${SHOP},`)

describe('From and Sender of a user who may send as some addresses', () => {
  it.each<[what: string, header: string[]]>([
    ['another address in From', [`From: ${CEO}`]],
    ['a comment in Sender that never ends', [`Sender: ${SHOP} (`, `From: ${CEO}`]],
    ['a quote in Sender that never ends', [`Sender: ${SHOP}, "`, `From: ${CEO}`]],
    ['a Sender of comments', [`Sender: ${SHOP}`, ...comments, `From: ${CEO}`]],
    ['a Sender of many addresses', ['Sender:', ...addresses, ` ${SHOP}`, `From: ${CEO}`]],
    ['a From of many addresses', ['From:', ...addresses, ` ${CEO}`]],
    ['two From fields', [`From: ${SHOP}`, `From: ${SHOP}`]],
    ['two From fields, one with a space', [`From: ${SHOP}`, `From : ${CEO}`]],
    ['two Sender fields', [`From: ${SHOP}`, `Sender: ${SHOP}`, `Sender: ${SHOP}`]],
    ['two addresses in Sender', [`From: ${SHOP}`, `Sender: ${SHOP}, ${SHOP}`]],
    ['another address in a list', [`From: ${SHOP}, ${CEO}`]],
    ['two addresses without a comma', [`From: <${SHOP}> <${CEO}>`]],
    ['two addresses, the other one first', [`From: <${CEO}> <${SHOP}>`]],
    ['an address as a phrase without quotes', [`From: ${CEO} <${SHOP}>`]],
    ['a source route', [`From: ${CEO}:${SHOP}`]],
    ['a group', [`From: ${SHOP}, g: ${CEO};`]],
    ['a bracket that hides a group', [`From: [${CEO}: <${SHOP}>`]],
    ['an encoded word as an address', ['From: =?utf-8?q?ceo=40acme.example?=@shop.acme.example']],
    ['an empty From', ['From:', `Sender: ${SHOP}`]],
    ['no From', [`Sender: ${SHOP}`]],
    ['no From, and a template', [`Sender: ${SHOP}`, TEMPLATE]],
    [
      'a From beyond the fields that are read for a template',
      [TEMPLATE, ...Array.from({ length: 990 }, () => 'X-A: b'), `Sender: ${SHOP}`].concat(
        Array.from({ length: 5 }, () => 'X-A: b'),
        `From: ${SHOP}`,
      ),
    ],
  ])('are refused with %s', async (_, header) => {
    const client = await shopClient()
    expect(await submitted(client, header)).toMatch(/^55[04] 5\.(?:6\.[03]|7\.1) /)
    expect(await submitted(client, [`From: ${SHOP}`])).toMatch(/^250 /)
  })

  it.each<[what: string, header: string[]]>([
    ['a quoted name', [`From: "Acme, the ${CEO}" <${SHOP}>`]],
    ['an encoded name', ['From: =?utf-8?q?Caf=C3=A9=2C?= <x@SHOP.acme.example>', `Sender: ${SHOP}`]],
    ['a folded field', ['From: Acme Shop', `\t<${SHOP}>`]],
    ['a list', [`From: Acme <${SHOP}>, y@shop.acme.example`, `Sender: ${SHOP}`]],
    ['a template', [TEMPLATE, `From: Acme <${SHOP}>`]],
  ])('are accepted with %s', async (_, header) => {
    expect(await submitted(await shopClient(), header)).toMatch(/^250 /)
  })
})

describe('a transaction of the SMTP intake', () => {
  it('can’t change its user, whose rights the sender was not checked for', async () => {
    const client = await clientOf(await quietIntake({ auth: { users }, bounces: 'bounces@acme.example' }))
    expect(await client.ask(`MAIL FROM:<${CEO}>`)).toMatch(/^250 /)
    for (const command of [`AUTH PLAIN ${plainToken('shop', 'secret')}`, 'auth login', 'AUTH'])
      expect(await client.ask(command)).toMatch(/^503 5\.5\.1 /)
    expect(await client.ask(`RCPT TO:<${ADA}>`)).toMatch(/^530 /)
    await client.ask('RSET')
    expect(await client.ask(`AUTH PLAIN ${plainToken('shop', 'secret')}`)).toMatch(/^235 /)
    expect(await client.ask(`MAIL FROM:<${CEO}>`)).toMatch(/^550 5\.7\.1 /)
  })
})
