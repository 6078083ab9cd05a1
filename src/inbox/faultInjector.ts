import type { Socket } from 'node:net'
import { type Fault, type FaultEffect, replyOf } from './faults.js'

/** What a fault needs to know of the one it is done to. */
export interface FaultTarget {
  socket: Socket
  /** Gives an SMTP reply and goes on with the session, or ends it where there is none yet. */
  reply(code: number, text: string): void
  /** Keeps the message that was received. Only at `dot`. */
  keep?(): void
}

/** Waits and does what the mishap says; `proceed` is called only if nothing but time was lost. */
export function injectFault(mishap: FaultEffect, victim: FaultTarget, proceed: () => void): void {
  if (mishap.wait === 0) {
    strike(mishap.fault, victim, proceed)
    return
  }
  const timer = setTimeout(() => {
    victim.socket.off('close', cancel)
    strike(mishap.fault, victim, proceed)
  }, mishap.wait)
  const cancel = () => clearTimeout(timer)
  victim.socket.once('close', cancel)
}

function strike(fault: Fault | undefined, victim: FaultTarget, proceed: () => void): void {
  if (fault === undefined) {
    proceed()
    return
  }
  const { socket } = victim
  switch (fault.do) {
    case 'refuse':
    case 'defer': {
      const { code, text } = replyOf(fault)
      if (fault.at === 'connect' && fault.do === 'refuse' && fault.reply === undefined)
        socket.resetAndDestroy()
      else victim.reply(code, text)
      break
    }
    case 'silence':
      ignore(socket)
      break
    case 'silence-after':
      victim.keep?.()
      ignore(socket)
      break
    case 'close':
    case 'close-before':
      socket.destroySoon()
      break
    case 'close-after':
      victim.keep?.()
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

/** Nothing is answered any more; what comes is read, so that the client's leaving is noticed. */
function ignore(socket: Socket): void {
  socket.unpipe()
  socket.setTimeout(0)
  socket.resume()
}

/** A reply without end: `250-`, then dots. */
function drip(socket: Socket, ms: number): void {
  ignore(socket)
  let sent = 0
  const timer = setInterval(() => {
    socket.write('250-'[sent++] ?? '.')
  }, ms)
  socket.once('close', () => clearInterval(timer))
}
