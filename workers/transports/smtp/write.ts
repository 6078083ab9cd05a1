import type { Socket } from 'node:net'

const FINAL_DOT = Buffer.from('.\r\n')

/**
 * Writes a message, its final dot, and what rides behind that, as one.
 * @param flushed called once the final dot has left this process
 */
export function writeMessage(
  socket: Socket,
  bytes: Buffer,
  envelope: Buffer | undefined,
  flushed: () => void,
): void {
  socket.cork()
  socket.write(bytes)
  writeEnd(socket, envelope, flushed)
  socket.uncork()
}

/** The end of a message without the message: to nobody goes nothing. */
export function writeNothing(socket: Socket, flushed: () => void): void {
  writeEnd(socket, undefined, flushed)
}

function writeEnd(socket: Socket, envelope: Buffer | undefined, flushed: () => void): void {
  const end = envelope === undefined ? FINAL_DOT : Buffer.concat([FINAL_DOT, envelope])
  socket.write(end, (error) => {
    if (error === undefined || error === null) flushed()
  })
}
