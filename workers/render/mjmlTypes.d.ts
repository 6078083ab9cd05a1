// The parts in use of those of MJML's packages that have no types.

declare module 'mjml-preset-core' {
  /** The standard components, and which may be in which. */
  const preset: { components: readonly object[]; dependencies: object }
  export = preset
}

declare module 'mjml-validator' {
  export const dependencies: object
  /** Adds to what may be in which component. */
  export function assignDependencies(target: object, dependencies: object): void
}
