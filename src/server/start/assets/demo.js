// Shows what the server streams: how late its event loop is, and the fate of each message.
const $ = (id) => document.getElementById(id)
const grid = $('grid')
const FATES = ['queued', 'sending', 'deferred', 'sent', 'failed']
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

/** 1 ms to 1 s, each factor of ten a third of the way. */
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

function paint([index, fate, uncertain, arrived]) {
  const cell = cells[index]
  cell.dataset.fate = fate
  cell.toggleAttribute('data-uncertain', uncertain === 1)
  cell.toggleAttribute('data-doubled', arrived > 1)
}

function tell({ number, way, tally, result }) {
  const { fates, uncertain, arrived, doubled, unexplained } = tally
  for (const fate of FATES) $(`n-${fate}`).textContent = fates[fate] + (fate === 'queued' ? fates.waiting : 0)
  const sum = Object.values(fates).reduce((total, amount) => total + amount, 0)
  $('n-sum').textContent = sum
  grid.setAttribute('aria-label', `${fates.sent} of ${sum} sent, ${fates.deferred} are tried again`)
  const name = way === 'threads' ? 'through threads' : 'inline'
  const title = result ? `Run ${number}, ${name}: done` : `Run ${number}, ${name}: under way`
  if ($('run-title').textContent !== title) $('run-title').textContent = title
  $('proof').textContent =
    `${count(arrived, 'receipt is', 'receipts are')} in the inbox` +
    (uncertain > 0
      ? `. ${count(uncertain, 'reply was', 'replies were')} lost on the way: marked uncertain and sent again. ${doubled} arrived twice`
      : '') +
    (unexplained > 0 && way === 'threads' ? `, ${unexplained} of them without a mark!` : '.')
  for (const button of document.querySelectorAll('[data-run]')) button.disabled = !result
  if (result && results[way] !== number) {
    results[way] = number
    const [time, delay, failed] = $(`result-${way}`).querySelectorAll('td')
    time.textContent = `${result.seconds.toFixed(1)} s`
    delay.textContent = `${milliseconds(result.delay.max)} ms`
    failed.textContent = fates.failed
  }
}

new EventSource('demo/events').onmessage = ({ data }) => {
  const { delay, run } = JSON.parse(data)
  turnDial(delay)
  if (!run) return
  if (run.number !== shown)
    newGrid(
      run.number,
      Object.values(run.tally.fates).reduce((a, b) => a + b),
    )
  run.cells.forEach(paint)
  tell(run)
}

newGrid(0, Number($('stage').dataset.messages))

async function press(path, body) {
  const response = await fetch(`demo/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const answer = response.status === 204 ? {} : await response.json()
  if (!response.ok) return answer.detail
  if (path === 'kill-thread') return `Thread ${answer.thread} was ended in the midst of its work.`
  if (path === 'lose-replies')
    return 'The next 3 receipts arrive, and their connection drops before the reply.'
  return ''
}

$('stage').addEventListener('click', async ({ target }) => {
  const button = target.closest('button')
  if (!button) return
  const { run, do: deed } = button.dataset
  $('said').textContent = await (run ? press('run', { way: run }) : press(deed, {})).catch(
    () => 'That did not work. Is the server still running?',
  )
})
