// Loaded before everything else: the process is killed at the moment it would say that it accepted a mail.
import http from 'node:http'

const { writeHead } = http.ServerResponse.prototype
http.ServerResponse.prototype.writeHead = function (status, ...rest) {
  if (status === 202) {
    process.kill(process.pid, 'SIGKILL')
    for (;;);
  }
  return writeHead.call(this, status, ...rest)
}
