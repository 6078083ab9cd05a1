// juice as one module, without what fetches style sheets: the build bundles this file with it (`.ci/bundle.mjs`).
/** Copies CSS rules into `style` attributes. */
export { default as juice } from 'juice'
