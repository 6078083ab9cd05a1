import type { Socket } from 'node:net'
import { type Fault, type FaultEffect, replyOf } from './faults.js'

/** The connection that a fault is injected into. */
export interface FaultTarget {
  socket: Socket
  /** Sends an SMTP reply and continues the session, or ends the connection if there is no session yet. */
  reply(code: number, text: string): void
  /** Keeps the received message. Present only at `dot`. */
  keep?(): void
}

/** Waits, then applies the fault. Calls `proceed` only if there is none. */
export function injectFault(effect: FaultEffect, target: FaultTarget, proceed: () => void): void {
  if (effect.delay === 0) {
    apply(effect.fault, target, proceed)
    return
  }
  const timer = setTimeout(() => {
    target.socket.off('close', cancel)
    apply(effect.fault, target, proceed)
  }, effect.delay)
  const cancel = () => clearTimeout(timer)
  target.socket.once('close', cancel)
}

function apply(fault: Fault | undefined, target: FaultTarget, proceed: () => void): void {
  if (fault === undefined) {
    proceed()
    return
  }
  const { socket } = target
  switch (fault.do) {
    case 'refuse':
    case 'defer': {
      const { code, text } = replyOf(fault)
      if (fault.at === 'connect' && fault.do === 'refuse' && fault.reply === undefined)
        socket.resetAndDestroy()
      else target.reply(code, text)
      break
    }
    case 'silence':
      ignore(socket)
      break
    case 'silence-after':
      target.keep?.()
      ignore(socket)
      break
    case 'close':
    case 'close-before':
      socket.destroySoon()
      break
    case 'close-after':
      target.keep?.()
      socket.destroySoon()
      break
    case 'garbage':
      socket.write('No reply known to RFC 5321 looks like this\r\n')
      ignore(socket)
      break
    case 'drip':
      drip(socket, fault.ms ?? 200)
      break
    case 'delay':
      proceed()
      break
  }
}

/** Stops replying, but keeps reading, so that the end of the connection is noticed. */
function ignore(socket: Socket): void {
  socket.unpipe()
  socket.setTimeout(0)
  socket.resume()
}

/** Sends an endless reply: `250-`, then dots. */
function drip(socket: Socket, ms: number): void {
  ignore(socket)
  let sent = 0
  const timer = setInterval(() => {
    socket.write('250-'[sent++] ?? '.')
  }, ms)
  socket.once('close', () => clearInterval(timer))
}
