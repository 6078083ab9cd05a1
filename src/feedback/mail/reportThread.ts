import { parentPort } from 'node:worker_threads'
import { readReportMail, type ReportMail } from './mailReport.js'

/** The thread that reads mails with reports: their work is bounded, but not small enough for the main thread. */
parentPort?.on('message', (raw: Uint8Array) => {
  parentPort?.postMessage(read(raw))
})

/** A mail that can't be read must not end the thread. */
function read(raw: Uint8Array): ReportMail | undefined {
  try {
    return readReportMail(raw)
  } catch {
    return undefined
  }
}
