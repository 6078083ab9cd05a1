import { createRequire } from 'node:module'
import type Core from 'mjml-core'
import type Preset from 'mjml-preset-core'
import type * as MjmlValidator from 'mjml-validator'

declare module 'mjml-core' {
  /** Adds components to those that documents may use. */
  export function assignComponents(target: object, components: readonly object[]): void
}

// These are CommonJS modules with a `default`, which is another thing to each loader of ES modules.
const require = createRequire(import.meta.url)
const core = require('mjml-core') as typeof Core
const preset = require('mjml-preset-core') as typeof Preset
const validator = require('mjml-validator') as typeof MjmlValidator

// As the package `mjml` does, whose command line brings twenty packages more.
core.assignComponents(core.components, preset.components)
validator.assignDependencies(validator.dependencies, preset.dependencies)

/** Converts MJML to HTML. */
export const mjml2html = core.default
