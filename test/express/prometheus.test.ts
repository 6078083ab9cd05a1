import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { Gauge, Registry } from 'prom-client'
import { STATUSES } from 'threadpost'
import { metricsRegistry } from 'threadpost/express'
import { describe, expect, it, test } from 'vitest'
import { parse } from 'yaml'
import { api, MAIL } from '../support/api.js'
import { folderOf } from '../support/folder.js'
import { mailerWithInbox } from '../support/mailer.js'

/** Samples of the text format by name and labels. */
function samplesOf(text: string): Map<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}

test('/metrics reports the outcomes of messages in the Prometheus format', async () => {
  const { call, mailer, inbox } = await api({
    auth: {
      tokens: [
        { token: 'reader-token-1234', scopes: ['read'] },
        { token: 'sender-token-1234', scopes: ['send'] },
      ],
    },
  })
  const scrape = async () => {
    const answer = await call('/metrics', { headers: { authorization: 'Bearer reader-token-1234' } })
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    return { text: answer.body as string, samples: samplesOf(answer.body) }
  }
  expect((await call('/metrics')).status).toBe(401)
  expect((await call('/metrics', { headers: { authorization: 'Bearer sender-token-1234' } })).status).toBe(
    403,
  )

  await mailer.sendAndWait(MAIL)
  inbox.faults.set([{ at: 'rcpt', do: 'refuse', reply: '550 5.1.1 No such user', times: 1 }])
  await mailer.sendAndWait(MAIL)
  await mailer.send({ ...MAIL, delay: 60_000 })
  const { text, samples } = await scrape()
  expect(Object.fromEntries(samples)).toMatchObject({
    threadpost_up: 1,
    threadpost_messages_accepted_total: 3,
    'threadpost_messages_settled_total{status="sent",reason="OK"}': 1,
    'threadpost_messages_settled_total{status="failed",reason="SMTP_REJECTED"}': 1,
    'threadpost_queue_messages{status="queued"}': 1,
    'threadpost_breaker_open{transport="default"}': 0,
    threadpost_thread_restarts_total: 0,
    threadpost_message_seconds_count: 2,
    'threadpost_message_seconds_bucket{le="+Inf"}': 2,
    'threadpost_step_seconds_count{step="transaction"}': 2,
    'threadpost_deliveries{phase="body"}': 0,
  })
  expect(samples.has('threadpost_event_loop_delay_seconds{quantile="0.99"}')).toBe(true)
  expect(samples.get('threadpost_thread_busy_ratio{thread="1"}')).toBeLessThanOrEqual(1)
  // Buckets are cumulative.
  const buckets = [...samples].filter(([name]) => name.startsWith('threadpost_message_seconds_bucket'))
  expect(buckets.map(([, value]) => value)).toEqual(buckets.map(([, value]) => value).sort((a, b) => a - b))
  for (const name of new Set(
    [...samples.keys()].map((key) => key.replace(/\{.*|_(bucket|sum|count)(?=\{|$).*/g, '')),
  ))
    expect(text).toContain(`# TYPE ${name} `)
  // Nothing that a sender chooses becomes a label.
  expect(text).not.toContain('example.com')

  await mailer.close({ deadline: 0 })
  expect((await scrape()).text.match(/^[a-z].*$/gm)).toEqual(['threadpost_up 0'])
})

test('metrics can be added to an existing registry, and two mailers can share one', async () => {
  const registry = new Registry()
  new Gauge({ name: 'mine', help: 'Mine.', registers: [registry] }).set(7)
  const folder = await folderOf({})
  const { mailer: first } = await mailerWithInbox({ threads: 0 })
  const { mailer: second } = await mailerWithInbox({
    threads: 0,
    queue: `sqlite:${path.join(folder, 'outbox.db')}`,
  })
  expect(await metricsRegistry(first, { registry })).toBe(registry)
  await metricsRegistry(second, { registry, prefix: 'second_' })
  await second.sendAndWait(MAIL)
  const samples = Object.fromEntries(samplesOf(await registry.metrics()))
  expect(samples).toMatchObject({
    mine: 7,
    threadpost_messages_accepted_total: 0,
    second_messages_accepted_total: 1,
  })
  expect(samples['second_commit_seconds_count']).toBeGreaterThan(0)
  expect(samples['second_commit_messages_sum']).toBeGreaterThan(0)
  expect(samples).not.toHaveProperty('threadpost_commit_seconds_count')
  // Alone they have registries of their own: nothing global is touched.
  const [one, two] = await Promise.all([metricsRegistry(first), metricsRegistry(second)])
  expect(one).not.toBe(two)
  expect(samplesOf(await two.metrics()).get('threadpost_messages_accepted_total')).toBe(1)
  // A mailer that is gone takes nothing of the others along.
  await second.close({ deadline: 0 })
  expect(Object.fromEntries(samplesOf(await registry.metrics()))).toMatchObject({ mine: 7, second_up: 0 })
})

describe('the alert rules and the dashboard', () => {
  const assets = path.join(import.meta.dirname, '../../dist/src/express/assets')
  interface Rule {
    alert: string
    expr: string
    for?: string
    annotations: { summary: string }
  }

  async function rules(): Promise<Rule[]> {
    const { groups } = parse(await readFile(path.join(assets, 'alerts.yml'), 'utf8')) as {
      groups: { rules: Rule[] }[]
    }
    return groups.flatMap((group) => group.rules)
  }

  async function panelQueries(): Promise<string[]> {
    const { panels } = JSON.parse(await readFile(path.join(assets, 'grafana.json'), 'utf8')) as {
      panels: { targets: { expr: string; legendFormat: string }[] }[]
    }
    return panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
  }

  it('reference only metrics, labels, and values that exist', async () => {
    const queue = `sqlite:${path.join(await folderOf({}), 'outbox.db')}`
    const { mailer } = await mailerWithInbox({ queue, threads: 1, archive: await folderOf({}) })
    const { id } = await mailer.sendAndWait(MAIL)
    await mailer.report({ id, recipient: MAIL.to, state: 'bounced', at: new Date().toISOString() })
    const samples = samplesOf(await (await metricsRegistry(mailer)).metrics())
    /** The values of each label of each metric. */
    const known = new Map<string, Map<string, Set<string>>>()
    for (const sample of samples.keys()) {
      const [, name = '', list = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(sample) ?? []
      const labels = known.get(name) ?? known.set(name, new Map()).get(name)!
      for (const [, label = '', value = ''] of list.matchAll(/(\w+)="([^"]*)"/g))
        labels.set(label, (labels.get(label) ?? new Set()).add(value))
    }
    // Not all values have happened.
    for (const status of STATUSES) known.get('threadpost_messages_settled_total')?.get('status')?.add(status)
    for (const state of ['delivered', 'complained'])
      known.get('threadpost_recipients_total')?.get('state')?.add(state)

    const queries = [...(await rules()).map(({ expr }) => expr), ...(await panelQueries())]
    expect(queries.length).toBeGreaterThan(20)
    for (const query of queries) {
      const uses = [...query.matchAll(/(threadpost_\w+)(?:\{([^}]*)\})?/g)]
      expect(uses.length, query).toBeGreaterThan(0)
      for (const [, name = '', matchers = ''] of uses) {
        expect([...known.keys()], query).toContain(name)
        for (const [, label = '', values = ''] of matchers.matchAll(/(\w+)=~?"([^"]*)"/g))
          expect([...(known.get(name)?.get(label) ?? [])], query).toEqual(
            expect.arrayContaining(values.split('|')),
          )
        for (const [, list = ''] of query.matchAll(/\bby \(([^)]*)\)/g))
          for (const label of list.split(', '))
            expect([...(known.get(name)?.keys() ?? [])], query).toContain(label)
      }
      // Parentheses, braces, and brackets are balanced.
      const nested = query.replaceAll(/[^(){}[\]]/g, '')
      expect(reduced(nested), query).toBe('')
    }
  })

  it('have a name, a duration, and a sentence for each rule', async () => {
    const all = await rules()
    expect(new Set(all.map(({ alert }) => alert)).size).toBe(all.length)
    for (const { alert, for: duration = '0s', annotations } of all) {
      expect(alert).toMatch(/^Threadpost[A-Z]\w+$/)
      expect(duration).toMatch(/^\d+[smhd]$/)
      expect(annotations.summary).toMatch(/\.$/)
    }
  })
})

/** Removes pairs of brackets until none is left. */
function reduced(brackets: string): string {
  const shorter = brackets.replaceAll(/\(\)|\{\}|\[\]/g, '')
  return shorter === brackets ? brackets : reduced(shorter)
}
