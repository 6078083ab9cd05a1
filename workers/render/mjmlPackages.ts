// MJML as one module, without its formatter and minifier: the build bundles this file with the packages that it imports
// (`.ci/bundle.mjs`). As the package `mjml` does, whose command line brings twenty packages more, it adds the standard components.
import core from 'mjml-core'
import preset from 'mjml-preset-core'
import * as validator from 'mjml-validator'

declare module 'mjml-core' {
  /** Adds components to those that documents may use. */
  export function assignComponents(target: object, components: readonly object[]): void
}

core.assignComponents(core.components, preset.components)
validator.assignDependencies(validator.dependencies, preset.dependencies)

/** Converts MJML to HTML. */
export const mjml2html = core.default
