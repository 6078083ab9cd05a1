import { createTransport } from './createTransport.js'
import { unsupported } from './refusal.js'

export { createTransport, type OffloadOptions } from './createTransport.js'
export { RecipientError, SendMailError, type SentMessageInfo } from './sentMessageInfo.js'
export type {
  AnswerOptions,
  MailOptions,
  SendMailCallback,
  Transporter,
  VerifyCallback,
} from './transporter.js'

/** Only Ethereal's accounts have such a page: always false. Where mail goes to `inbox:`, it is seen in the inbox. */
export function getTestMessageUrl(): false {
  return false
}

/** @throws ThreadpostError `UNSUPPORTED`: nothing is asked of Ethereal. */
export function createTestAccount(): never {
  return unsupported('createTestAccount()', "Let mail go to createTransport('inbox:').")
}

/** For `import nodemailer from 'threadpost/nodemailer'`. */
const nodemailer = { createTransport, createTestAccount, getTestMessageUrl }
// eslint-disable-next-line no-restricted-syntax -- it stands in for a package that is imported by default
export default nodemailer
