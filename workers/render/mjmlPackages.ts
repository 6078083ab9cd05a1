import core from 'mjml-core'
import preset from 'mjml-preset-core'
import { assignDependencies, dependencies } from 'mjml-validator'

declare module 'mjml-core' {
  /** Adds components to those that documents may use. */
  export function assignComponents(target: object, components: readonly object[]): void
}

// As the package `mjml` does, whose command line brings twenty packages more.
core.assignComponents(core.components, preset.components)
assignDependencies(dependencies, preset.dependencies)

/** Converts MJML to HTML. */
export const mjml2html = core.default
