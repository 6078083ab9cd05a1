export { inboxRouter, type InboxRouterOptions } from '../inbox/router.js'
export type { Auth, Scope, Token } from './auth.js'
export { mailRouter, type MailRouterOptions } from './mailRouter.js'
export type { Problem, ProblemCode } from './problem.js'
