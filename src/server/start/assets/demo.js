// Shows the state that the server streams: the delay of its event loop, and the status of each message.
const $ = (id) => document.getElementById(id)
const grid = $('grid')
const STATUSES = ['queued', 'sending', 'deferred', 'sent', 'failed']
const WINDOW = 150
const trace = []
const results = {}
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

function showRun({ number, way, totals, result }) {
  const { statuses, uncertain, arrived, doubled, unexplained } = totals
  for (const status of STATUSES)
    $(`n-${status}`).textContent = statuses[status] + (status === 'queued' ? statuses.waiting : 0)
  const sum = Object.values(statuses).reduce((total, amount) => total + amount, 0)
  $('n-sum').textContent = sum
  grid.setAttribute('aria-label', `${statuses.sent} of ${sum} sent, ${statuses.deferred} deferred`)
  const name = way === 'threads' ? 'through threads' : 'inline'
  const title = result ? `Run ${number}, ${name}: done` : `Run ${number}, ${name}: in progress`
  if ($('run-title').textContent !== title) $('run-title').textContent = title
  $('proof').textContent =
    `${count(arrived, 'receipt is', 'receipts are')} in the inbox` +
    (uncertain > 0
      ? `. ${count(uncertain, 'reply was', 'replies were')} lost; the messages were marked uncertain and sent again. ${doubled} arrived twice`
      : '') +
    (unexplained > 0 && way === 'threads' ? `, ${unexplained} of them without a mark!` : '.')
  for (const button of document.querySelectorAll('[data-run]')) button.disabled = !result
  if (result && results[way] !== number) {
    results[way] = number
    const [time, delay, failed] = $(`result-${way}`).querySelectorAll('td')
    time.textContent = `${result.seconds.toFixed(1)} s`
    delay.textContent = `${milliseconds(result.delay.max)} ms`
    failed.textContent = statuses.failed
  }
}

new EventSource('demo/events').onmessage = ({ data }) => {
  const { delay, run } = JSON.parse(data)
  turnDial(delay)
  if (!run) return
  if (run.number !== shown)
    newGrid(
      run.number,
      Object.values(run.totals.statuses).reduce((a, b) => a + b),
    )
  run.cells.forEach(paint)
  showRun(run)
}

newGrid(0, Number($('demo').dataset.messages))

async function press(path, body) {
  const response = await fetch(`demo/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const answer = response.status === 204 ? {} : await response.json()
  if (!response.ok) return answer.detail
  if (path === 'kill-thread') return `Thread ${answer.thread} was ended while it was working.`
  if (path === 'lose-replies')
    return 'The server accepts the next 3 receipts, and closes the connection before its reply.'
  return ''
}

$('demo').addEventListener('click', async ({ target }) => {
  const button = target.closest('button')
  if (!button) return
  const { run, do: action } = button.dataset
  $('message').textContent = await (run ? press('run', { way: run }) : press(action, {})).catch(
    () => 'The request failed. Is the server still running?',
  )
})
