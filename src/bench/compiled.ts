/** A process that compiles a folder of templates ahead, as `threadpost build` does. */
import { compileTemplates } from '../templates/precompile.js'
import { answerParent } from './childMessages.js'

answerParent<object>(async ({ from, to }: { from: string; to: string }) => {
  await compileTemplates(from, { out: to })
  return {}
})
