import type { MetricSpec, Values } from './prometheus.js'

export const WEBHOOK_GAUGES: MetricSpec<Values>[] = [
  {
    name: 'webhook_events_waiting',
    help: 'Events of all processes that wait for a webhook.',
    labels: ['webhook'],
    values: ({ webhooks }) => webhooks.map(({ webhook, waiting }) => [{ webhook }, waiting]),
  },
  {
    name: 'webhook_disabled',
    help: '1 while a webhook gets no events because its receiver answered 410.',
    labels: ['webhook'],
    values: ({ webhooks }) => webhooks.map(({ webhook, disabled }) => [{ webhook }, Number(disabled)]),
  },
]

export const WEBHOOK_COUNTERS: MetricSpec<Values>[] = [
  {
    name: 'webhook_attempts_total',
    help: 'Requests of this process to a webhook by result.',
    labels: ['webhook', 'result'],
    values: ({ webhooks }) =>
      webhooks.flatMap(({ webhook, delivered, failures }) => [
        [{ webhook, result: 'delivered' }, delivered],
        [{ webhook, result: 'failed' }, failures],
      ]),
  },
  {
    name: 'webhook_events_given_up_total',
    help: 'Events that this process gave up sending to a webhook.',
    labels: ['webhook'],
    values: ({ webhooks }) => webhooks.map(({ webhook, givenUp }) => [{ webhook }, givenUp]),
  },
  {
    name: 'webhook_events_dropped_total',
    help: 'Events for a webhook that this process did not store.',
    labels: ['webhook'],
    values: ({ webhooks }) => webhooks.map(({ webhook, dropped }) => [{ webhook }, dropped]),
  },
]
