import { html, type Html, type HtmlValue } from '../web/page.js'
import { type Fault, type FaultAction, type FaultStep, replyOf } from './faults.js'

/** What the dialog offers: the mishaps a sender must cope with, in the order in which they can befall it. */
const PRESETS: readonly { name: string; fault: Fault }[] = [
  { name: 'Defer the recipient (450)', fault: { at: 'rcpt', do: 'defer' } },
  { name: 'Refuse the recipient (550)', fault: { at: 'rcpt', do: 'refuse' } },
  { name: 'Drop the connection before the dot', fault: { at: 'dot', do: 'close-before' } },
  { name: 'Drop the connection after the dot: the reply is lost', fault: { at: 'dot', do: 'close-after' } },
  { name: 'Defer the message (451)', fault: { at: 'dot', do: 'defer' } },
  { name: 'Refuse the message (554)', fault: { at: 'dot', do: 'refuse' } },
  { name: 'Answer slowly', fault: { at: 'dot', do: 'delay', ms: 2000 } },
  { name: 'Answer with garbage', fault: { at: 'dot', do: 'garbage' } },
  { name: 'Never answer', fault: { at: 'dot', do: 'silence' } },
  { name: 'Refuse connections', fault: { at: 'connect', do: 'refuse' } },
  { name: 'Turn away at the door (421)', fault: { at: 'greeting', do: 'defer' } },
]

const WHERE: Record<FaultStep, string> = {
  connect: 'connecting',
  greeting: 'the greeting',
  helo: 'EHLO',
  auth: 'AUTH',
  mail: 'the sender',
  rcpt: 'the recipient',
  data: 'DATA',
  dot: 'the message',
}

/** Says that faults are on, as long as they are. */
export function faultBanner(faults: readonly Fault[]): Html {
  if (faults.length === 0) return html`<section id="faults" hidden></section>`
  return html`<section id="faults" class="faults" aria-label="Faults that are on">
    <strong>${faults.length === 1 ? 'A fault is on.' : `${faults.length} faults are on.`}</strong>
    <ul>
      ${faults.map(
        (fault) =>
          html`<li>
            <span>${describeFault(fault)}</span>
            <button
              class="remove"
              type="button"
              data-remove="${JSON.stringify({ ...fault, times: undefined })}"
              aria-label="Stop this fault"
              hidden
            >
              Stop
            </button>
          </li>`,
      )}
    </ul>
  </section>`
}

/** Where a fault is composed. Hidden until the script runs, for it sends JSON. */
export function faultDialog(): Html {
  return html`<dialog id="fault-dialog" aria-labelledby="fault-title">
    <form id="fault-form" method="dialog">
      <h2 id="fault-title">Make it fail</h2>
      <p class="dim">The inbox does this to whoever sends to it, until you stop it.</p>
      <label for="fault-what">What goes wrong</label>
      <select id="fault-what">
        ${PRESETS.map(({ name, fault }) => html`<option value="${JSON.stringify(fault)}">${name}</option>`)}
      </select>
      <div class="fields">
        <p>
          <label for="fault-to">For recipients</label>
          <input id="fault-to" placeholder="all" autocomplete="off" spellcheck="false" maxlength="320" />
        </p>
        <p>
          <label for="fault-chance">Chance, in %</label>
          <input id="fault-chance" type="number" min="1" max="100" value="100" required />
        </p>
        <p>
          <label for="fault-times">Times</label>
          <input id="fault-times" type="number" min="1" max="1000000" placeholder="no end" />
        </p>
        <p>
          <label for="fault-ms">Delay, in ms</label>
          <input id="fault-ms" type="number" min="0" max="600000" value="2000" />
        </p>
      </div>
      <p class="dim small">A * stands for anything: <code>*@example.com</code></p>
      <p class="error" id="fault-error" role="alert" hidden></p>
      <div class="actions">
        <button class="button" type="button" id="fault-cancel">Cancel</button>
        <button class="button primary" type="submit">Make it fail</button>
      </div>
    </form>
  </dialog>`
}

function describeFault(fault: Fault): HtmlValue {
  const details = [
    fault.to === undefined ? '' : `for ${fault.to}`,
    fault.probability === undefined ? '' : `${Math.round(fault.probability * 100)} % of the time`,
    fault.times === undefined ? '' : fault.times === 1 ? 'once more' : `${fault.times} more times`,
  ].filter((detail) => detail !== '')
  return [`At ${WHERE[fault.at]}: ${DEEDS[fault.do](fault)}`, ...details].join(', ')
}

const DEEDS: Record<FaultAction, (fault: Fault) => string> = {
  refuse: (fault) =>
    fault.at === 'connect' && fault.reply === undefined ? 'the connection is refused' : answers(fault),
  defer: (fault) => answers(fault),
  silence: () => 'no answer',
  close: () => 'the connection is dropped',
  delay: ({ ms = 1000 }) => `the answer comes ${ms} ms late`,
  drip: ({ ms = 200 }) => `an endless reply, a byte each ${ms} ms`,
  garbage: () => 'garbage in place of a reply',
  'close-before': () => 'the connection drops before the final dot',
  'close-after': () => 'kept, then the connection drops without a reply',
  'silence-after': () => 'kept, and no answer',
}

function answers(fault: Fault): string {
  const { code, text } = replyOf(fault)
  return `${code} ${text}`
}
