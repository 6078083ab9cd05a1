import { html, type Html, logo, page, textField } from '../../web/page.js'
import { type DemoFacts, demoSection } from './demoView.js'

/** The steps of a message, in order. */
const STEPS = [
  {
    id: 'accepted',
    lane: 'web',
    title: 'Accepted',
    note: 'The message is validated and queued, and the request gets its response.',
  },
  { id: 'rendered', lane: 'thread', title: 'Rendered', note: 'The MJML template becomes HTML and text.' },
  { id: 'composed', lane: 'thread', title: 'Composed', note: 'The parts become one MIME message.' },
  {
    id: 'delivered',
    lane: 'thread',
    title: 'SMTP session',
    note: 'The message is transmitted to the mail server, which replies.',
  },
  { id: 'settled', lane: 'web', title: 'Settled', note: 'Your code receives the outcome.' },
] as const

const EXAMPLE = `import { createMailer } from 'threadpost'

const mailer = await createMailer({
  transport: 'smtp://user:pass@smtp.example.com:587',
  from: 'Acme <hello@acme.example>',
  templates: './templates',
})

app.post('/signup', async (req, res) => {
  const { name, email } = req.body
  const { id } = await mailer.send({ template: 'welcome', to: email, data: { name } })
  res.status(202).json({ id })
})`

export interface StartPageContents {
  /** Whether the mail stays in the embedded inbox. */
  inbox: boolean
  /** The load test, if there is one. */
  demo: DemoFacts | undefined
  /** Whether worker threads deliver, not the web process. */
  threaded: boolean
}

export function startPage({ inbox, demo, threaded }: StartPageContents): string {
  return page({
    title: 'threadpost',
    root: '',
    styles: ['start.css', ...(demo === undefined ? [] : ['demo.css'])],
    scripts: ['start.js', ...(demo === undefined ? [] : ['demo.js'])],
    kind: 'start',
    body: html`
      <header class="top">
        <a class="brand" href="./">${logo}<span>threadpost</span></a>
        <nav>
          <a class="button" href="mail/">Dashboard</a>
          ${inbox && html`<a class="button" href="inbox/">Inbox</a>`}
        </nav>
      </header>
      <main>
        <section class="pitch">
          <h1>Mail without the wait.</h1>
          <p>
            Your web process accepts a message and continues. Worker threads render the template, build the
            message, speak SMTP, and report the exact outcome.
          </p>
        </section>
        <section class="try" aria-label="Try it">
          <form class="card" id="signup" novalidate>
            <h2>Send a message</h2>
            <p class="dim">
              Sign up with any name.
              ${
                inbox
                  ? 'The welcome mail goes only to the inbox of this server.'
                  : 'The welcome mail is sent to this address.'
              }
            </p>
            ${textField('name', 'Name', {
              name: 'name',
              autocomplete: 'name',
              maxlength: 100,
              value: inbox ? 'Ada Lovelace' : '',
            })}
            ${textField('email', 'Email', {
              name: 'email',
              type: 'email',
              autocomplete: 'email',
              value: inbox ? 'ada@example.com' : '',
            })}
            <p class="error" id="error" role="alert" hidden></p>
            <button class="button primary" type="submit">Sign up</button>
            ${
              demo &&
              html`<p class="pulse">
                Current event loop delay of this process: <strong id="pulse">–</strong>
              </p>`
            }
          </form>
          <div class="card journey" id="journey" data-state="idle">
            <div class="status">
              <div role="status"><h2 id="status">Message lifecycle</h2></div>
              <p class="total" id="total"></p>
              <a class="button" id="open" hidden>Read it in the inbox</a>
            </div>
            <ol>
              ${STEPS.map((each) => step(each, threaded))}
            </ol>
            <p class="error outcome" id="outcome" hidden></p>
          </div>
        </section>
        ${demo && demoSection(demo)}
        <section class="reasons">
          <div>
            <h3>The web process stays free</h3>
            <p>
              Compiling MJML inline blocks all other requests.
              ${
                threaded
                  ? 'Here, it runs in a worker thread.'
                  : 'This server runs without worker threads, so the web process compiles it.'
              }
            </p>
          </div>
          <div>
            <h3>Outcomes, not hopes</h3>
            <p>
              Sent, refused, deferred, or uncertain: the outcome for each recipient, with the server’s reply.
            </p>
          </div>
          <div>
            <h3>A crashed thread loses no mail</h3>
            <p>
              If a thread dies, its unsent messages are sent again immediately. A message that crashes threads
              is identified and isolated.
            </p>
          </div>
        </section>
        <section class="embed">
          <h2>In your app</h2>
          <pre tabindex="0"><code>${EXAMPLE}</code></pre>
        </section>
      </main>
    `,
  })
}

function step({ id, lane, title, note }: (typeof STEPS)[number], threaded: boolean): Html {
  const place = lane === 'thread' && threaded ? 'worker thread' : 'web process'
  return html`<li class="step ${lane}" id="step-${id}" data-state="waiting">
    <p><strong>${title}</strong> <span class="lane">${place}</span></p>
    <span class="note">${note}</span>
    <span class="took"></span>
  </li>`
}
