// Hands the token over and goes on to where the visitor wanted to be.
const form = document.getElementById('login')
const field = document.getElementById('token')
const complaint = document.getElementById('error')
const button = form.querySelector('button')

function goOn() {
  const home = new URL('./', location.href)
  const wanted = new URLSearchParams(location.search).get('next') ?? ''
  const target = URL.canParse(wanted, home) ? new URL(wanted, home) : home
  // Never off this site, whatever the address says.
  const inside = target.origin === home.origin && target.pathname.startsWith(home.pathname)
  location.replace(inside ? target : home)
}

function complain(text) {
  complaint.textContent = text
  complaint.hidden = false
  field.setAttribute('aria-invalid', 'true')
  field.select()
}

// Who followed a link from elsewhere may be logged in: the browser kept the cookie back only for that one request.
fetch('session')
  .then((response) => response.json())
  .then(({ scopes }) => scopes.includes('read') && goOn())
  .catch(() => undefined)

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  complaint.hidden = true
  button.disabled = true
  try {
    const response = await fetch('login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: field.value }),
    })
    if (response.ok) goOn()
    else complain((await response.json()).detail)
  } catch {
    complain('That did not work. Is the server still running?')
  } finally {
    button.disabled = false
  }
})
