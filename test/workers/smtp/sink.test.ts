import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, it, onTestFinished } from 'vitest'
import { answers, freePort } from '../../support/ports.js'
import { send, senderTo } from '../../support/smtpSender.js'
import { describeWith } from '../../support/tools.js'

describeWith(['smtp-sink'], "Postfix's smtp-sink", (tools) => {
  const { command, args, env } = tools['smtp-sink']

  async function sink(...options: string[]): Promise<number> {
    const port = await freePort()
    const child: ChildProcess = spawn(command, [...args, ...options, `127.0.0.1:${port}`, '100'], {
      env: { ...process.env, ...env },
      stdio: 'ignore',
    })
    onTestFinished(async () => {
      child.kill()
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    })
    while (!(await answers(port))) await new Promise((resolve) => setImmediate(resolve))
    return port
  }

  it.each([
    ['with PIPELINING', []],
    ['without PIPELINING', ['-p']],
    ['without any extension', ['-e', '-p', '-8', '-E']],
  ])('takes what is sent, %s', async (_, options) => {
    const sender = senderTo(await sink(...options), {}, 2)
    const all = await Promise.all(
      Array.from({ length: 200 }, () => send(sender, { to: ['a@b.example', 'c@d.example'] })),
    )
    expect(all.filter(({ outcome }) => outcome.result === 'sent')).toHaveLength(200)
  })

  it.each([
    ['refuses RCPT', ['-f', 'RCPT'], 'rejected SMTP_REJECTED'],
    ['puts the dot off', ['-r', '.'], 'deferred SMTP_DEFERRED'],
    ['refuses DATA', ['-f', 'DATA'], 'rejected SMTP_REJECTED'],
    ['closes at DATA', ['-q', 'DATA'], 'deferred CONNECTION_CLOSED'],
    ['closes at the dot', ['-q', '.'], 'uncertain REPLY_LOST'],
    ['says 421 at MAIL', ['-Q', 'MAIL'], 'deferred SMTP_DEFERRED'],
    ['says 421 at the dot', ['-Q', '.'], 'deferred SMTP_DEFERRED'],
  ])('%s', async (_, options, expected) => {
    for (const mode of [[], ['-p']]) {
      const sender = senderTo(await sink(...mode, ...options), {}, 1)
      const { outcome } = await send(sender)
      expect(`${outcome.result} ${outcome.code}`).toBe(expected)
    }
  })
})
