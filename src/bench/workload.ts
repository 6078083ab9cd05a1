import { writeFile } from 'node:fs/promises'
import path from 'node:path'

/** The sender of messages that go to a sink. */
export const SENDER = 'Bench <bench@bench.example>'

/** The message that every mode sends. */
export interface Workload {
  /** Name of the workload in the report. */
  title: string
  /** Template folder. */
  templates: string
  /** Name of the template in that folder. */
  template: string
  data: object
  /** Recipients of each message. */
  recipients: number
  /** Size of the file attached to each message, in bytes; 0 attaches none. */
  attachment: number
  /** Recipient of every message, instead of the benchmark's made-up addresses. */
  to?: string
  from: string
}

/**
 * The workload as threadpost renders it. Baselines reuse the subject and the text, so they don't have to derive them.
 */
export interface Parts {
  subject: string
  html: string
  text: string
}

/** The reference workload W1: a receipt with eight items, about 14 KB of HTML, and a text part. */
const W1_TEMPLATE = `<mjml>
  <mj-head>
    <mj-title>Receipt</mj-title>
    <mj-attributes><mj-all font-family="Helvetica, Arial" /><mj-text font-size="15px" color="#333" /></mj-attributes>
    <mj-style inline="inline">.total td { font-weight: bold }</mj-style>
  </mj-head>
  <mj-body background-color="#f4f4f4">
    <mj-section background-color="#fff"><mj-column><mj-image src="https://example.com/logo.png" width="120px" /></mj-column></mj-section>
    <mj-section background-color="#fff"><mj-column>
      <mj-text>Hi {{name}},</mj-text>
      <mj-text>Thanks for your order <b>#{{orderId}}</b>. Here is your receipt.</mj-text>
      <mj-table>
        <tr><th align="left">Item</th><th align="right">Qty</th><th align="right">Price</th></tr>
        {{#each items}}<tr><td>{{this.name}}</td><td align="right">{{this.qty}}</td><td align="right">{{this.price}}</td></tr>{{/each}}
        <tr class="total"><td>Total</td><td></td><td align="right">{{total}}</td></tr>
      </mj-table>
      <mj-button href="{{url}}">View order</mj-button>
    </mj-column></mj-section>
    <mj-section><mj-column><mj-social mode="horizontal"><mj-social-element name="facebook" href="https://f.example">FB</mj-social-element><mj-social-element name="twitter" href="https://t.example">TW</mj-social-element></mj-social></mj-column><mj-column><mj-text font-size="11px">You receive this mail because ... <a href="{{unsub}}">unsubscribe</a></mj-text></mj-column></mj-section>
  </mj-body>
</mjml>
`

const W1_DATA = {
  name: 'Ada',
  orderId: 42,
  total: '$99',
  url: 'https://shop.example/o/42',
  unsub: 'https://shop.example/u',
  items: Array.from({ length: 8 }, (_, index) => ({
    name: `Item ${index}`,
    qty: index,
    price: `$${index * 3}`,
  })),
}

/** Writes the template of W1 to a folder. */
export async function writeW1(folder: string): Promise<Workload> {
  await writeFile(path.join(folder, 'receipt.mjml'), W1_TEMPLATE)
  return {
    title: 'W1, a receipt of 8 lines with a text part',
    templates: folder,
    template: 'receipt',
    data: W1_DATA,
    recipients: 1,
    attachment: 0,
    from: SENDER,
  }
}

/** Returns the recipients of message number `mail`: as many as the workload requires, no address twice. */
export function recipientsOf({ recipients, to }: Workload, mail: number): string[] {
  if (to !== undefined) return [to]
  return Array.from({ length: recipients }, (_, index) => `user${mail}.${index}@bench.example`)
}

/** Returns an attachment of incompressible bytes, the same in each run; undefined if the workload has none. */
export function attachmentOf({ attachment }: Workload): Buffer | undefined {
  if (attachment === 0) return undefined
  const bytes = Buffer.alloc(attachment)
  for (let index = 0, state = 1; index < attachment; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[index] = state >>> 16
  }
  return bytes
}
