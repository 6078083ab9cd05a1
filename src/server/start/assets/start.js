// Submits the form and shows the progress of its mail, which the server streams.
const $ = (id) => document.getElementById(id)
const form = $('signup')
const journey = $('journey')
const button = form.querySelector('button')
const steps = ['accepted', 'rendered', 'composed', 'delivered', 'settled']
const idle = new Map(steps.map((id) => [id, $(`step-${id}`).querySelector('.note').textContent]))

const STATUS_LABELS = {
  queued: 'Queued',
  sending: 'Sending',
  deferred: 'Will be retried',
  held: 'Held',
  sent: 'Sent',
  partial: 'Partially sent',
  failed: 'Failed',
  expired: 'Expired',
  cancelled: 'Cancelled',
}
const FINAL = ['sent', 'partial', 'failed', 'expired', 'cancelled']

let source

function milliseconds(value) {
  if (value === undefined) return ''
  if (value < 0.95) return 'under 1 ms'
  return value < 10
    ? `${value.toFixed(1)} ms`
    : value < 10_000
      ? `${Math.round(value)} ms`
      : `${Math.round(value / 1000)} s`
}

/** Writes the times in a sentence of the server, which are UTC, as local times. */
function localTimes(sentence) {
  return sentence.replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d) UTC/g, (_, day, time) =>
    new Date(`${day}T${time}Z`).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' }),
  )
}

function mark(id, state, took = '', note = idle.get(id)) {
  const step = $(`step-${id}`)
  step.dataset.state = state
  step.querySelector('.took').textContent = took
  step.querySelector('.note').textContent = note
}

/** Brings the message's steps into view where they are below the form, as on a phone. */
function follow() {
  const { top } = journey.getBoundingClientRect()
  if (top < innerHeight * 0.6) return
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches
  journey.scrollIntoView({ behavior: calm ? 'instant' : 'smooth', block: 'start' })
}

function reset() {
  source?.close()
  for (const id of steps) mark(id, 'waiting')
  for (const id of ['error', 'outcome', 'open']) $(id).hidden = true
  for (const input of form.querySelectorAll('input')) input.removeAttribute('aria-invalid')
  $('total').textContent = ''
}

function showError({ detail, path = '' }) {
  const field = path === 'name' ? 'name' : path === 'email' ? 'email' : undefined
  $('error').textContent = detail ?? 'The server can’t be reached. Please try again.'
  $('error').hidden = false
  if (field) {
    $(field).setAttribute('aria-invalid', 'true')
    $(field).focus()
  }
  journey.dataset.state = 'idle'
  $('status').textContent = 'Message lifecycle'
}

function show(progress) {
  const { status, thread, timings = {}, attempts } = progress
  journey.dataset.state = status
  $('status').textContent = STATUS_LABELS[status]
  if (status === 'queued') return
  if (status === 'sending') {
    for (const id of ['rendered', 'composed', 'delivered']) mark(id, 'active')
    return
  }
  if (thread !== undefined)
    for (const lane of document.querySelectorAll('.thread .lane'))
      lane.textContent = thread === 0 ? 'main thread' : `thread ${thread}`
  const smtp =
    timings.connect === undefined && timings.transaction === undefined
      ? undefined
      : (timings.connect ?? 0) + (timings.transaction ?? 0)
  const compiled = timings.compile === undefined ? 0 : timings.compile
  const rendered = timings.render === undefined ? undefined : timings.render + compiled
  const reached = (value) => (value === undefined ? 'missed' : 'done')
  const waiting = !FINAL.includes(status)
  if (attempts > 0) {
    const compiling =
      compiled >= 1 ? `The template was compiled first, which took ${milliseconds(compiled)}.` : undefined
    mark('rendered', reached(rendered), milliseconds(rendered), compiling)
    mark('composed', reached(timings.compose), milliseconds(timings.compose))
    const delivered = status === 'sent' ? 'done' : waiting ? 'again' : 'failed'
    mark('delivered', delivered, milliseconds(smtp), progress.reply)
  }
  mark('settled', status === 'sent' ? 'done' : waiting ? 'waiting' : 'failed')
  if (progress.total !== undefined) $('total').textContent = `after ${milliseconds(progress.total)}`
  $('outcome').textContent = localTimes(progress.explanation ?? '')
  $('outcome').hidden = !progress.explanation
  if (progress.mail) {
    $('open').href = progress.mail
    $('open').hidden = false
  }
}

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  reset()
  button.disabled = true
  mark('accepted', 'active')
  try {
    const response = await fetch('signup', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: $('name').value, email: $('email').value }),
    })
    const answer = await response.json()
    if (!response.ok) {
      mark('accepted', 'waiting')
      showError(answer)
      return
    }
    mark('accepted', 'done', milliseconds(answer.took), 'The response was 202 Accepted.')
    follow()
    source = new EventSource(`signup/${answer.id}/events`)
    source.onmessage = ({ data }) => {
      const progress = JSON.parse(data)
      show(progress)
      if (FINAL.includes(progress.status)) source.close()
    }
  } catch {
    mark('accepted', 'waiting')
    showError({})
  } finally {
    button.disabled = false
  }
})
