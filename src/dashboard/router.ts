import { Router } from 'express'
import type { Mailer } from '../mailer.js'

/** The pages over a mailer: `/` and `/preview`, their assets, and `/events`. */
export function dashboardRouter(_mailer: Mailer): Router {
  return Router()
}
