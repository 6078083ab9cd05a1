import { html, type Html } from '../../web/page.js'
import { WAYS } from './demoRun.js'

/** The facts that the page states about the load test. */
export interface DemoFacts {
  /** Time that the inbox takes for a reply during a run, in milliseconds. */
  replyDelay: number
  /** Whether React Email is installed, which is optional. */
  hasReact: boolean
}

/** The load test: a dial, buttons, and a grid with one cell per message. */
export function demoSection({ replyDelay, hasReact }: DemoFacts): Html {
  const { messages } = WAYS.threads
  const { messages: welcomes } = WAYS['react-threads']
  return html`<section class="card demo" id="demo" data-messages="${messages}" aria-labelledby="demo-title">
    <div class="demo-head">
      <h2 id="demo-title">Five hundred at once</h2>
      <p class="dim">
        The same receipts, through worker threads and inline in the web process. The dial shows the delay of
        the web process’s event loop, for which every other request waits. The inbox answers each message
        after ${replyDelay} ms, as a server on the internet does; its SMTP server runs in the web process as
        well.
      </p>
    </div>
    <div class="controls">
      <div class="dial" id="dial" role="img" aria-label="Event loop delay">
        <svg viewBox="0 0 240 158" aria-hidden="true">
          <path class="dial-track" d="M20 130a100 100 0 0 1 200 0" pathLength="100" />
          <path class="dial-value" id="dial-value" d="M20 130a100 100 0 0 1 200 0" pathLength="100" />
          <g class="dial-marks">
            <text x="20" y="154">1</text>
            <text x="84" y="66">10</text>
            <text x="156" y="66">100</text>
            <text x="220" y="154">1 s</text>
          </g>
          <text class="dial-number" id="dial-number" x="120" y="116">–</text>
          <text class="dial-unit" x="120" y="138">ms event loop delay</text>
        </svg>
        <svg class="trace" viewBox="0 0 240 44" preserveAspectRatio="none" aria-hidden="true">
          <polyline id="trace" points="" />
        </svg>
        <p class="dim">
          Maximum delay of the last 0.4 s, and its history over 30 s.
          <span id="dial-run"></span>
        </p>
      </div>
      <div class="buttons">
        <button class="button primary" type="button" data-run="threads">
          ${messages} receipts through threads
        </button>
        <button class="button" type="button" data-run="inline">${messages} inline, MJML for each mail</button>
        <button class="button" type="button" data-run="compiled">${messages} inline, compiled once</button>
        ${
          hasReact &&
          html`<button class="button" type="button" data-run="react-threads">
              ${welcomes} in React through threads
            </button>
            <button class="button" type="button" data-run="react-inline">
              ${welcomes} in React, inline
            </button>`
        }
        <button class="button" type="button" data-do="kill-thread">Kill a worker</button>
        <button class="button" type="button" data-do="lose-replies">Lose the server’s reply</button>
      </div>
    </div>
    <div class="show" id="show">
      <p class="run-title" id="run-title" role="status">Press a button. Each square is a message.</p>
      <div class="grid" id="grid" role="img" aria-label="Status of the messages"></div>
      <dl class="tally" id="tally">
        ${entry('queued', 'queued')} ${entry('sending', 'sending')} ${entry('deferred', 'deferred')}
        ${entry('held', 'held')} ${entry('sent', 'sent')} ${entry('failed', 'failed')}
        <div class="sum">
          <dt>total</dt>
          <dd id="n-sum">0</dd>
        </div>
      </dl>
      <p class="proof" id="proof"></p>
      <p class="message" id="message" role="status"></p>
      <table class="results">
        <caption class="hidden-label">
          Last undisturbed run of each kind
        </caption>
        <thead>
          <tr>
            <th scope="col">${messages} receipts</th>
            <th scope="col">time</th>
            <th scope="col">maximum delay</th>
            <th scope="col">HTTP p99</th>
            <th scope="col">failed</th>
          </tr>
        </thead>
        <tbody>
          ${result('threads', 'Through threads', 'rendered, composed, and sent by worker threads')}
          ${result('inline', 'Inline, MJML for each mail', 'then nodemailer, ten at a time, in the web process')}
          ${result('compiled', 'Inline, compiled once', 'MJML once, then Handlebars and nodemailer in the web process')}
          ${
            hasReact &&
            html`${result('react-threads', 'React through threads', `${welcomes} welcome mails in React Email with Tailwind, rendered by worker threads`)}
            ${result('react-inline', 'React, inline', `${welcomes} welcome mails in React Email with Tailwind, rendered in the web process`)}`
          }
        </tbody>
      </table>
      <p class="dim note-below">
        HTTP p99: another process sends 100 requests per second to the web process during a run, and 99 % of
        them were answered within this time.
        ${
          !hasReact &&
          html`The comparison of React templates is missing here, because the packages react, react-dom,
          @react-email/render, @react-email/components, and esbuild are not all installed.`
        }
      </p>
      <p class="disturbed" id="disturbed" hidden></p>
    </div>
  </section>`
}

function entry(status: string, name: string): Html {
  return html`<div>
    <dt><span class="cell" data-status="${status}"></span>${name}</dt>
    <dd id="n-${status}">0</dd>
  </div>`
}

function result(way: string, name: string, how: string): Html {
  return html`<tr id="result-${way}">
    <th scope="row"><strong>${name}</strong> <span class="how">${how}</span></th>
    <td>–</td>
    <td>–</td>
    <td>–</td>
    <td>–</td>
  </tr>`
}
