import type { Contestant } from '../contestant.js'
import type { RunOrder } from '../order.js'
import { createInline } from './inline.js'
import { compile, readTemplate, toHtml } from './templates.js'

/** What most tutorials do: the template is compiled, bound and run through MJML for each mail. */
export async function createNaive(order: RunOrder): Promise<Contestant> {
  const source = await readTemplate(order.workload)
  return createInline(order, false, () => toHtml(compile(source)(order.workload.data)))
}
