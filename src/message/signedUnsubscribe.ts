import type { ListUnsubscribe } from '../protocol/tasks.js'
import { DEFAULT_STREAM } from '../suppressions/suppression.js'
import { type UnsubscribePlan, unsubscribeUrl } from '../unsubscribe/unsubscribeLink.js'
import { Validator } from '../validation.js'
import type { MailJob } from './messageState.js'
import { recipientsOf } from './recipients.js'

const check: Validator = new Validator('INVALID_MESSAGE')

/**
 * The signed link of a mail with `listUnsubscribe: true`.
 * @throws ThreadpostError `INVALID_MESSAGE` without the option `unsubscribe`, or if the mail has several recipients
 */
export function signedUnsubscribe(job: MailJob, plan: UnsubscribePlan | undefined): ListUnsubscribe {
  if (plan === undefined) check.fail('listUnsubscribe', 'true needs the option unsubscribe of the mailer')
  const [address, ...others] = recipientsOf(job)
  if (address === undefined || others.length > 0)
    check.fail(
      'listUnsubscribe',
      'true is for a mail to one recipient, because anybody who has the link can use it; send each recipient a mail of their own',
    )
  const { id, stream = DEFAULT_STREAM, content } = job
  const locale = content.kind === 'template' ? content.locale : undefined
  return {
    url: unsubscribeUrl(plan, { address, stream, id, ...(locale === undefined ? {} : { locale }) }),
    oneClick: true,
    signed: true,
  }
}
