import { parentPort } from 'node:worker_threads'
import { readReportMail } from './mailReport.js'

/** The thread that reads mails with reports: their work is bounded, but not small enough for the main thread. */
parentPort?.on('message', ({ n, raw }: { n: number; raw: Uint8Array }) => {
  parentPort?.postMessage({ n, mail: readReportMail(raw) })
})
