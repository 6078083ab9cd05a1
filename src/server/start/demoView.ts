import { html, type Html } from '../../web/page.js'

/** The dial, the buttons and the grid: what happens when five hundred receipts go out at once. */
export function demoSection(messages: number): Html {
  return html`<section
    class="card stage"
    id="stage"
    data-messages="${messages}"
    aria-labelledby="stage-title"
  >
    <div class="stage-head">
      <h2 id="stage-title">Five hundred at once</h2>
      <p class="dim">
        The same receipts, both ways, from this very process. The dial shows how late its event loop is: for
        that long every other request waits.
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
        <p class="dim">The longest delay of the last 0.4 s, and over the last 30 s.</p>
      </div>
      <div class="buttons">
        <button class="button primary" type="button" data-run="threads">
          ${messages} receipts through threads
        </button>
        <button class="button" type="button" data-run="inline">${messages} inline</button>
        <button class="button" type="button" data-do="kill-thread">Kill a thread</button>
        <button class="button" type="button" data-do="lose-replies">Drop the connection after the dot</button>
      </div>
    </div>
    <div class="show">
      <p class="run-title" id="run-title" role="status">Press a button: each square is a message.</p>
      <div class="grid" id="grid" role="img" aria-label="The fates of the messages"></div>
      <dl class="tally" id="tally">
        ${entry('queued', 'queued')} ${entry('sending', 'in a thread')} ${entry('deferred', 'tried again')}
        ${entry('sent', 'sent')} ${entry('failed', 'failed')}
        <div class="sum">
          <dt>in all</dt>
          <dd id="n-sum">0</dd>
        </div>
      </dl>
      <p class="proof" id="proof"></p>
      <table class="results">
        <caption class="hidden-label">
          The last run of each way
        </caption>
        <thead>
          <tr>
            <th scope="col">${messages} receipts</th>
            <th scope="col">time</th>
            <th scope="col">longest delay</th>
            <th scope="col">failed</th>
          </tr>
        </thead>
        <tbody>
          ${result('threads', 'Through threads', 'compiled once, then bound and sent by worker threads')}
          ${result('inline', 'Inline', 'MJML for each mail, then nodemailer, ten at a time, in the web process')}
        </tbody>
      </table>
      <p class="said" id="said" role="status"></p>
    </div>
  </section>`
}

function entry(fate: string, name: string): Html {
  return html`<div>
    <dt><span class="cell" data-fate="${fate}"></span>${name}</dt>
    <dd id="n-${fate}">0</dd>
  </div>`
}

function result(way: string, name: string, how: string): Html {
  return html`<tr id="result-${way}">
    <th scope="row"><strong>${name}</strong> <span class="how">${how}</span></th>
    <td>–</td>
    <td>–</td>
    <td>–</td>
  </tr>`
}
