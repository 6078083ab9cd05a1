import type { Contestant } from '../contestant.js'
import type { RunOrder } from '../order.js'
import { createInline } from './inline.js'
import { compile, readTemplate, toHtml } from './templates.js'

/** What a careful app does: MJML once, Handlebars compiled once, and a pool of connections. */
export async function createPrecompiled(order: RunOrder): Promise<Contestant> {
  return createInline(order, true, await precompiled(order))
}

/**
 * MJML is run once over the template with its expressions left standing. A template that uses what only threadpost
 * knows (its helpers, its layouts) is sent as threadpost rendered it: that costs the rival nothing.
 */
export async function precompiled({ workload, parts }: RunOrder): Promise<() => string> {
  try {
    const bind = compile(await toHtml(await readTemplate(workload)))
    bind(workload.data)
    return () => bind(workload.data)
  } catch {
    return () => parts.html
  }
}
