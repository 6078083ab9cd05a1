import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** What the command needs to know of the package it belongs to. */
export const OWN_PACKAGE = JSON.parse(
  readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
) as { version: string; dependencies: Record<'express' | '@types/express', string> }

/** The templates that come along. */
export const OWN_TEMPLATES = fileURLToPath(new URL('../../../templates', import.meta.url))
