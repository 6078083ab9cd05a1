// Shows the state that the server streams: the delay of its event loop, and the status of each message.
const $ = (id) => document.getElementById(id)
const grid = $('grid')
const STATUSES = ['queued', 'sending', 'deferred', 'held', 'sent', 'failed']
const NAMES = {
  threads: 'through threads',
  inline: 'inline, MJML for each mail',
  compiled: 'inline, compiled once',
  'react-threads': 'React through threads',
  'react-inline': 'React, inline',
}
const IN_THREADS = ['threads', 'react-threads']
const WINDOW = 150
const trace = []
let cells = []
let shown

function count(amount, one, many) {
  return `${amount} ${amount === 1 ? one : many}`
}

function milliseconds(value) {
  return value < 10 ? value.toFixed(1) : String(Math.round(value))
}

/** Maps 1 ms to 1 s to the dial; each factor of ten is a third of it. */
function share(delay) {
  return Math.min(1, Math.max(0, Math.log10(Math.max(delay, 1)) / 3))
}

function turnDial(delay) {
  const level = delay < 15 ? 'good' : delay < 60 ? 'warn' : 'bad'
  $('dial').dataset.level = level
  $('dial-value').style.strokeDashoffset = String(100 - Math.max(1.5, share(delay) * 100))
  $('dial-number').textContent = milliseconds(delay)
  $('pulse').textContent = `${milliseconds(delay)} ms`
  $('dial').setAttribute('aria-label', `Event loop delay: ${milliseconds(delay)} ms`)
  trace.push(delay)
  if (trace.length > WINDOW) trace.shift()
  const points = trace.map((value, index) => {
    const x = 240 - ((trace.length - 1 - index) * 240) / (WINDOW - 1)
    return `${x.toFixed(1)},${(42 - share(value) * 40).toFixed(1)}`
  })
  $('trace').setAttribute('points', points.join(' '))
}

function newGrid(number, messages) {
  shown = number
  cells = Array.from({ length: messages }, () => {
    const cell = document.createElement('i')
    cell.className = 'cell'
    return cell
  })
  grid.replaceChildren(...cells)
}

function paint([index, status, uncertain, arrived]) {
  const cell = cells[index]
  cell.dataset.status = status
  cell.toggleAttribute('data-uncertain', uncertain === 1)
  cell.toggleAttribute('data-doubled', arrived > 1)
}

function showRun({ number, way, totals, killed, held, result }) {
  const { statuses, uncertain, arrived, doubled, unexplained } = totals
  for (const status of STATUSES)
    $(`n-${status}`).textContent = statuses[status] + (status === 'queued' ? statuses.waiting : 0)
  const sum = Object.values(statuses).reduce((total, amount) => total + amount, 0)
  $('n-sum').textContent = sum
  grid.setAttribute('aria-label', `${statuses.sent} of ${sum} sent, ${statuses.deferred} deferred`)
  const title = `Run ${number}, ${NAMES[way]}: ${result ? 'done' : 'in progress'}`
  if ($('run-title').textContent !== title) $('run-title').textContent = title
  $('proof').textContent =
    (way.startsWith('react')
      ? count(arrived, 'welcome mail is', 'welcome mails are')
      : count(arrived, 'receipt is', 'receipts are')) +
    ' in the inbox' +
    (uncertain > 0 && IN_THREADS.includes(way)
      ? `. ${count(uncertain, 'reply was', 'replies were')} lost; the messages were marked uncertain and sent again. ${doubled} arrived twice`
      : '') +
    (unexplained > 0 && IN_THREADS.includes(way) ? `, ${unexplained} of them without a mark!` : '.') +
    killed.map((thread) => ` Worker ${thread} was killed while it was working.`).join('') +
    (held ? ` ${count(statuses.held, 'message is', 'messages are')} held because ${held}.` : '')
  for (const button of document.querySelectorAll('[data-run]')) button.disabled = !result
  $('dial-run').textContent = result ? `Maximum of run ${number}: ${milliseconds(result.delay.max)} ms.` : ''
}

function cell(td, value, note) {
  const small = document.createElement('span')
  small.className = 'of-it'
  small.textContent = note
  td.replaceChildren(value, ...(note ? [small] : []))
}

function showResults({ disturbed, ...results }) {
  for (const [way, { seconds, delay, httpP99, loading, failed }] of Object.entries(results)) {
    const [time, max, http, lost] = $(`result-${way}`).querySelectorAll('td')
    const loads = way.startsWith('react') ? 'React' : 'MJML'
    cell(time, `${seconds.toFixed(1)} s`, loading && `${loading.seconds.toFixed(1)} s loading ${loads}`)
    cell(http, `${milliseconds(httpP99)} ms`)
    cell(max, `${milliseconds(delay.max)} ms`, loading && `${milliseconds(delay.sending)} ms while sending`)
    cell(lost, String(failed))
  }
  $('disturbed').hidden = !disturbed
  if (!disturbed) return
  const { number, way, seconds, delay, failed } = disturbed
  $('disturbed').textContent =
    `Run ${number}, ${NAMES[way]}, is not compared, because ${disturbed.disturbed.join(' and ')}: ` +
    `${seconds.toFixed(1)} s, maximum delay ${milliseconds(delay.max)} ms, ${failed} failed.`
}

new EventSource('demo/events').onmessage = ({ data }) => {
  const { delay, run, results } = JSON.parse(data)
  turnDial(delay)
  if (!run) return
  if (run.number !== shown)
    newGrid(
      run.number,
      Object.values(run.totals.statuses).reduce((a, b) => a + b),
    )
  run.cells.forEach(paint)
  showRun(run)
  showResults(results)
}

newGrid(0, Number($('demo').dataset.messages))

async function press(path, body) {
  const response = await fetch(`demo/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const answer = await response.json()
  if (!response.ok) return answer.detail
  if (answer.started) return 'A run was started. A worker is killed in the middle of it.'
  if (path === 'lose-replies')
    return 'The inbox keeps 3 messages of this run and closes the connection instead of replying.'
  return ''
}

$('demo').addEventListener('click', async ({ target }) => {
  const button = target.closest('button')
  if (!button) return
  const { run, do: action } = button.dataset
  $('message').textContent = await (run ? press('run', { way: run }) : press(action, {})).catch(
    () => 'The server can’t be reached. Is it still running?',
  )
  // On a phone, the squares are below the buttons.
  const { top } = $('show').getBoundingClientRect()
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches
  if (top > innerHeight * 0.6)
    $('show').scrollIntoView({ behavior: calm ? 'instant' : 'smooth', block: 'start' })
})
